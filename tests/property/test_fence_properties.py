"""The fence fold against a naive reading of the whole log."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.live.fence import FENCE_PREFIX, ChangelogRecord, Restore, fence_key, rewrites

KEYS = (b"ann", b"bob", b"cat", b"\x00partition")
WRITERS = (1, 2, 3)
Step = tuple[str, int, bytes, bytes | None]

steps = st.lists(
    st.tuples(
        st.sampled_from(("put", "put", "put", "fence")),
        st.sampled_from(WRITERS),
        st.sampled_from(KEYS),
        st.one_of(st.none(), st.binary(min_size=1, max_size=2)),
    ),
    max_size=40,
)


def log_of(taken: list[Step]) -> list[ChangelogRecord]:
    return [
        ChangelogRecord(offset, *((fence_key(writer), b"") if what == "fence" else (key, value)), writer)
        for offset, (what, writer, key, value) in enumerate(taken)
    ]


def naive(log: list[ChangelogRecord]) -> dict[bytes, bytes]:
    """For every key, search backwards for the last record whose nearest fence before it names its writer."""
    state: dict[bytes, bytes] = {}
    for key in {record.key for record in log if not record.key.startswith(FENCE_PREFIX)}:
        for at in range(len(log) - 1, -1, -1):
            if log[at].key != key:
                continue
            fences = [record.writer for record in log[:at] if record.key.startswith(FENCE_PREFIX)]
            if fences and fences[-1] == log[at].writer:
                value = log[at].value
                if value is not None:
                    state[key] = value
                break
    return state


def folded(restore: Restore, log: list[ChangelogRecord], state: dict[bytes, bytes]) -> dict[bytes, bytes]:
    for key, value in restore.counted(log):
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    return state


def compacted(log: list[ChangelogRecord], upto: int) -> list[ChangelogRecord]:
    last = {record.key: record.offset for record in log[:upto]}
    return [record for record in log if record.offset >= upto or last[record.key] == record.offset]


@given(steps)
def test_the_fold_equals_a_naive_reading_of_the_log(taken: list[Step]) -> None:
    log = log_of(taken)
    assert folded(Restore(), log, {}) == naive(log)


@given(steps, st.integers(0, 40))
def test_continuing_a_local_copy_equals_reading_from_the_beginning(taken: list[Step], cut: int) -> None:
    log = log_of(taken)
    first = Restore()
    copy = folded(first, log[:cut], {})
    assert folded(Restore(first.writer), log[cut:], copy) == naive(log)


@given(steps, st.integers(0, 60))
def test_compaction_changes_nothing_once_the_shadowed_keys_are_written_again(taken: list[Step], upto: int) -> None:
    taken = [*taken, ("fence", 9, b"", None)]
    log = log_of(taken)
    restore = Restore()
    state = folded(restore, log, {})
    repaired = log + [
        ChangelogRecord(len(log) + at, key, value, 9)
        for at, (key, value) in enumerate(rewrites(list(restore.shadowed), state.get))
    ]
    # A fence key is written once in life (writer ids are fresh); here they repeat, so keep them all apart.
    unique = [
        record._replace(key=record.key + b"%d" % record.offset) if record.key.startswith(FENCE_PREFIX) else record
        for record in repaired
    ]
    assert folded(Restore(), compacted(unique, upto), {}) == state
