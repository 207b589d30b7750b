"""Issues of faust-streaming/faust that lose records or hang, each with the test that would have shown it.

Here those that need no broker; #176, #597 and #651 are in tests/integration/test_live_faust_issues.py, #502 and #517 in
test_live_guarantees.py, #596 in test_live_faults.py and tests/faults/test_faust_faults.py.
"""

from __future__ import annotations

from streams.core.events import DAY_MS
from tests.support.partition_runs import PartitionRun
from tests.support.worlds import START, purchase


def test_faust_193_what_fell_due_while_nobody_owned_the_partition_is_told_by_the_next_owner() -> None:
    """Windows whose owner dies are never closed by Faust: silence then goes unnoticed for ever."""
    alone, handed_over = PartitionRun(), PartitionRun()
    for run in (alone, handed_over):
        run.feed([purchase(START + day * DAY_MS, user="ann", event_id=f"e{day}") for day in (0, 7, 14)])
    told = len(handed_over.outputs)
    handed_over.restart()
    for run in (alone, handed_over):
        run.advance(START + 200 * DAY_MS)
    assert [output.id for output in handed_over.outputs] == [output.id for output in alone.outputs]
    assert handed_over.stages()[-2:] == ["at_risk", "churned"]
    assert len(handed_over.outputs) > told


def test_faust_193_what_was_told_before_the_owner_died_is_not_told_again() -> None:
    run = PartitionRun()
    run.feed([purchase(START + day * DAY_MS, user="ann", event_id=f"e{day}") for day in (0, 7, 14)])
    run.advance(START + 200 * DAY_MS)
    told = len(run.outputs)
    run.restart()
    run.advance(START + 200 * DAY_MS)
    assert len(run.outputs) == told
