"""The deadline queue beside a dictionary that is searched from end to end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.core.deadlines import DeadlineQueue

USERS = st.sampled_from(["ada", "bob", "cyd", "dan"])
INSTANTS = st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("file"), USERS, INSTANTS),
        st.tuples(st.just("drop"), USERS, st.just(0)),
        st.tuples(st.just("pop"), st.just(""), INSTANTS),
    ),
    max_size=300,
)


@given(STEPS)
def test_the_queue_pops_what_a_naive_search_finds(steps: list[tuple[str, str, int]]) -> None:
    queue, naive = DeadlineQueue(), dict[str, int]()
    for step, user, at in steps:
        if step == "file":
            queue.file(user, at)
            naive[user] = min(at, naive.get(user, at))
        elif step == "drop":
            queue.drop(user)
            naive.pop(user, None)
        else:
            due = min(((instant, name) for name, instant in naive.items() if instant <= at), default=None)
            assert queue.pop(at) == due
            if due is not None:
                del naive[due[1]]
        assert len(queue) == len(naive)
