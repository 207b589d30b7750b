"""Rivals of the benchmarks: what they tell of themselves, what a run comes to, and what is held against them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.core.events import Event, Kind, Line
from streams.live.seams import PendingProfiles
from streams.live.store import MemoryStore
from streams.model_records import new_cuts
from tests.bench.measuring import BenchmarkFailed
from tests.bench.rivals import totals_job, venvs
from tests.bench.rivals.assignment import Assignment, Mark, Marks, marks_in
from tests.bench.rivals.course import faust_share
from tests.bench.rivals.ebbtide_totals import AddingEngine
from tests.bench.rivals.expected import Expected, Said, difference
from tests.bench.rivals.race import race, run_of
from tests.bench.shell import check, last_told, recounted

RIVALS = Path(venvs.__file__).parent


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    return Assignment(
        job="totals",
        brokers="",
        source="",
        prefix="",
        group="",
        partitions=1,
        total=100,
        state="",
        cuts="",
        marks=str(tmp_path / "marks"),
    )


def told_by(assignment: Assignment, events: int) -> Iterator[Mark]:
    marks = Marks(assignment)
    for _ in range(events):
        marks.applying()
        marks.applied()
    marks.ended()
    return iter(marks_in(Path(assignment.marks)))


def test_an_assignment_reads_back_as_it_was_written(assignment: Assignment, tmp_path: Path) -> None:
    assignment.write(tmp_path / "assignment")
    assert Assignment.read(tmp_path / "assignment") == assignment


def test_a_rival_tells_where_it_began_where_it_is_and_when_it_ended(assignment: Assignment) -> None:
    applied = [mark.applied for mark in told_by(assignment, 100)]
    assert applied[0] == 0
    assert applied[-2:] == [100, 100]
    assert 50 in applied
    assert len(applied) <= assignment.parts + 3


def test_a_rival_that_works_in_batches_tells_of_its_last_event(assignment: Assignment) -> None:
    marks = Marks(assignment)
    marks.applying()
    assert not marks.applied(70)
    assert marks.applied(70)
    marks.ended()
    assert [mark.applied for mark in marks_in(Path(assignment.marks))] == [0, 70, 140, 140]


def test_a_mark_that_is_half_written_is_not_read(assignment: Assignment) -> None:
    Path(assignment.marks).write_text('{"applied": 1, "at_s": 2.0, "cpu_s": 3.0}\n{"appl')
    assert marks_in(Path(assignment.marks)) == [Mark(1, 2.0, 3.0)]


def test_a_run_counts_cpu_from_its_first_event_to_its_end_and_time_to_its_last_event() -> None:
    marks = [Mark(0, 1.0, 5.0), Mark(50, 3.0, 6.0), Mark(100, 4.0, 6.5), Mark(100, 9.0, 7.0, ended=True)]
    run = run_of(marks, 100, 10.0)
    assert (run.cpu_s, run.seconds, run.events) == (2.0, 3.0, 100)


def test_the_steady_part_is_the_second_half_of_the_events() -> None:
    marks = [Mark(0, 1.0, 5.0), Mark(50, 3.0, 6.0), Mark(100, 4.0, 6.5), Mark(100, 9.0, 7.0, ended=True)]
    more = run_of(marks, 100, 10.0).more
    assert (more["steady_cpu_us"], more["steady_per_s"]) == (10_000.0, 50.0)


def test_a_run_that_came_in_one_batch_has_no_steady_part() -> None:
    marks = [Mark(0, 1.0, 5.0), Mark(100, 4.0, 6.5), Mark(100, 9.0, 7.0, ended=True)]
    assert "steady_cpu_us" not in run_of(marks, 100, 10.0).more


TINY_RIVAL = """
import sys
from tests.bench.rivals.assignment import Assignment, Marks
marks = Marks(Assignment.read(sys.argv[1]))
for _ in range({events}):
    marks.applying()
    marks.applied()
print("these were its last words")
marks.ended()
"""


def test_a_race_gives_the_figures_of_a_process_that_applied_all(assignment: Assignment, tmp_path: Path) -> None:
    command = [sys.executable, "-c", TINY_RIVAL.format(events=100)]
    core = min(os.sched_getaffinity(0))
    run = race(command, assignment, core, tmp_path / "rival.log", within_s=60.0)
    assert run.events == 100
    assert run.peak_mb > 0  # a process of a millisecond is looked at once, perhaps before it has grown


def test_a_race_that_was_not_run_to_its_end_is_no_result(assignment: Assignment, tmp_path: Path) -> None:
    command = [sys.executable, "-c", TINY_RIVAL.format(events=99)]
    core = min(os.sched_getaffinity(0))
    with pytest.raises(BenchmarkFailed, match="these were its last words"):
        race(command, assignment, core, tmp_path / "rival.log", within_s=60.0)


@pytest.mark.parametrize(
    ("events", "share"), [(5_000, 5_000), (50_000, 10_000), (200_000, 40_000), (2_000_000, 60_000)]
)
def test_stock_faust_is_given_a_part_that_lasts_no_minutes(events: int, share: int) -> None:
    assert faust_share(events) == share


# -- the small job -----------------------------------------------------------------------------------------------------


def test_every_tenth_event_of_a_user_is_told() -> None:
    told = [totals_job.told("ann", count, 5) for count in range(1, 21)]
    assert [message["count"] for message in told if message is not None] == [10, 20]


def test_java_tells_as_often_as_python() -> None:
    java = (RIVALS / "kafka_streams" / "Totals.java").read_text()
    found = re.search(r"TOLD_EVERY = (\d+);", java)
    assert found is not None
    assert int(found[1]) == totals_job.TOLD_EVERY


def test_a_recount_holds_the_last_told_totals() -> None:
    lines = [b'{"user_id": "ann", "price": 0.29, "quantity": 2}'] * 25 + [b'{"user_id": "bob"}'] * 9
    assert recounted(lines) == {"ann": (20, 20 * 58)}


def test_of_repeated_messages_the_highest_count_holds() -> None:
    messages = [b'{"user_id": "ann", "count": %d, "cents": 1}' % count for count in (20, 10, 20)]
    assert last_told(messages) == {"ann": (20, 1)}


def test_totals_that_are_not_the_recount_fail_the_run() -> None:
    with pytest.raises(BenchmarkFailed, match="1 of them wrongly"):
        check("a rival", {"ann": (10, 4)}, {"ann": (10, 5)})


def test_users_that_nobody_told_fail_the_run() -> None:
    with pytest.raises(BenchmarkFailed, match="told 0 users of 1"):
        check("a rival", {}, {"ann": (10, 5)})


def test_where_topics_are_merged_equal_counts_suffice() -> None:
    check("a rival", {"ann": (10, 4)}, {"ann": (10, 5)}, in_order=False)


class _Untold(Marks):
    def __init__(self) -> None:
        self.count = 0

    def applying(self) -> None:
        """Nobody listens."""

    def applied(self, events: int = 1) -> bool:
        self.count += events
        return False


def _purchase(offset: int, kind: int = Kind.PURCHASE) -> Event:
    lines = (Line("i", None, None, 2_500_000, 2),)
    return Event(offset, kind, f"e{offset}", "ann", 0, offset, True, lines=lines)


def _added(*events: Event) -> tuple[AddingEngine, Any]:
    engine = AddingEngine(PendingProfiles(MemoryStore()), _Untold())
    return engine, engine.process(list(events), new_cuts(30))


def test_ebbtides_small_engine_tells_what_the_rivals_tell() -> None:
    _, step = _added(*map(_purchase, range(10)))
    assert [output.body for output in step.outputs] == [{"user_id": "ann", "count": 10, "cents": 5_000}]


def test_ebbtides_small_engine_applies_a_redelivered_record_once() -> None:
    _, step = _added(_purchase(3), _purchase(3), _purchase(2), _purchase(3, Kind.CLICK))
    assert (step.facts.accepted, step.facts.skipped) == (2, 2)


def test_ebbtides_small_engine_goes_on_from_what_it_stored() -> None:
    engine, _ = _added(*map(_purchase, range(7)))
    store = MemoryStore()
    store.write([(b"ann", engine.encoded("ann"))])
    again = AddingEngine(PendingProfiles(store), _Untold())
    step = again.process(list(map(_purchase, range(5, 10))), new_cuts(30))
    assert [output.body["count"] for output in step.outputs] == [10]


# -- the whole job -----------------------------------------------------------------------------------------------------


def expected() -> Expected:
    """Ann's last event is at 20, Bob's at 50; both are in the only partition."""
    said = [Said("a", "ann", 10), Said("b", "ann", 20), Said("silent", "ann", 40), Said("c", "bob", 50)]
    return Expected(said=said, last_event={"ann": 20, "bob": 50})


def test_a_framework_that_hears_of_silence_says_what_a_backfill_says() -> None:
    assert difference(expected(), ["a", "b", "silent", "c"], 1) is None


def test_a_framework_that_hears_of_silence_must_say_so() -> None:
    assert "1 of 3 outputs are missing, silent" in str(difference(expected(), ["a", "b", "c"], 1))


def test_a_keyed_state_says_nothing_behind_a_users_last_event() -> None:
    assert difference(expected(), ["a", "b", "c"], None) is None
    assert "none of the backfill's, silent" in str(difference(expected(), ["a", "b", "silent", "c"], None))


def test_repeats_are_no_difference() -> None:
    assert difference(expected(), ["a", "a", "b", "silent", "c"], 1) is None


def test_what_no_backfill_says_is_a_difference() -> None:
    assert "none of the backfill's, strange" in str(difference(expected(), ["a", "b", "c", "strange"], None))


# -- where they are installed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rival", ["faust", "quix", "bytewax"])
def test_every_package_of_a_rival_is_locked_by_hash(rival: str) -> None:
    lock = (venvs.LOCKS / f"{rival}.lock").read_text()
    packages = re.findall(r"^[a-z0-9_.-]+(?:\[[a-z,]+\])?==\S+(?: ; [^\\\n]+)? ?\\?$", lock, re.MULTILINE)
    assert packages
    assert all(package.endswith("\\") for package in packages)


@pytest.mark.parametrize("rival", ["faust", "quix", "bytewax"])
def test_what_a_rival_asks_for_is_locked(rival: str) -> None:
    lock = (venvs.LOCKS / f"{rival}.lock").read_text()
    asked = re.findall(r"^([a-z]+(?:-[a-z]+)*)", (venvs.LOCKS / f"{rival}.in").read_text(), re.MULTILINE)
    assert [name for name in asked if not re.search(rf"^{name}(\[[a-z]+\])?==", lock, re.MULTILINE)] == []


def test_what_is_kept_is_made_once_for_each_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[Path] = []

    def make(folder: Path) -> None:
        folder.mkdir()
        made.append(folder)

    first = venvs.kept("a-rival", b"1", make)
    assert venvs.kept("a-rival", b"1", make) == first
    assert venvs.kept("a-rival", b"2", make) != first
    assert len(made) == 2


def test_what_could_not_be_made_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fails(folder: Path) -> None:
        raise BenchmarkFailed("no registry")

    with pytest.raises(BenchmarkFailed):
        venvs.kept("a-rival", b"1", fails)
    assert (venvs.kept("a-rival", b"1", lambda folder: folder.mkdir()) / "made").is_file()
