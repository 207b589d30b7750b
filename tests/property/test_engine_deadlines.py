"""The deadline queue beside a dictionary that is searched from end to end."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.core.deadlines import DeadlineQueue, Roster

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


class Naive:
    """Everything that was ever filed, searched from end to end."""

    def __init__(self) -> None:
        self.named = dict[str, int]()
        self.standing: list[tuple[int, str]] = []

    def pop(self, through: int) -> tuple[int, str] | None:
        named = [(at, user) for user, at in self.named.items()]
        due = min((entry for entry in [*named, *self.standing] if entry[0] <= through), default=None)
        if due is None:
            return None
        if due in self.standing:
            self.standing.remove(due)
        else:
            del self.named[due[1]]
        return due


DAY = 86_400_000
FAR = st.one_of(INSTANTS, st.integers(0, 30 * DAY))
BULK = st.lists(FAR, max_size=6)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("file"), USERS, FAR),
            st.tuples(st.just("drop"), USERS, st.just(0)),
            st.tuples(st.just("pop"), st.just(""), FAR),
            st.tuples(st.just("all"), st.just(""), BULK),
        ),
        max_size=100,
    )
)
def test_deadlines_filed_in_bulk_pop_in_order_among_those_filed_by_name(steps: list[tuple[str, str, Any]]) -> None:
    roster = Roster()
    queue, naive = DeadlineQueue(roster), Naive()
    for step, user, given_ in steps:
        if step == "file":
            queue.file(user, given_)
            naive.named[user] = min(given_, naive.named.get(user, given_))
        elif step == "drop":
            queue.drop(user)
            naive.named.pop(user, None)
        elif step == "all":
            users = [f"user {len(roster) + number:03}" for number in range(len(given_))]
            roster.extend([name.encode() for name in users])
            queue.file_all(given_)
            naive.standing += zip(given_, users, strict=True)
        else:
            assert queue.pop(given_) == naive.pop(given_)
        assert len(queue) == len(naive.named) + len(naive.standing)


@given(st.lists(st.text(max_size=5)), st.lists(st.text(max_size=5)))
def test_a_roster_gives_back_every_name(first: list[str], more: list[str]) -> None:
    roster = Roster()
    for names in (first, more):
        roster.extend(name.encode() for name in names)
    assert [roster[number] for number in range(len(roster))] == [*first, *more]
