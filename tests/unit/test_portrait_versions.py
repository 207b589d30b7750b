"""A portrait's id names one content, whatever silence does to it between two messages."""

from __future__ import annotations

from streams.core.events import HOUR_MS
from tests.support.partition_runs import PartitionRun
from tests.support.worlds import START, click, purchase


def test_a_portrait_that_silence_changes_has_another_id_even_where_nothing_is_told() -> None:
    run = PartitionRun()
    run.feed([click(START), purchase(START + HOUR_MS, price=40.0), click(START + 2 * HOUR_MS)])
    bodies: dict[str, list[object]] = {}
    for hour in range(3, 24 * 70):
        run.advance(START + hour * HOUR_MS)
        portrait = run.engine.portrait("u")
        assert portrait is not None
        if portrait.body not in bodies.setdefault(portrait.id, []):
            bodies[portrait.id].append(portrait.body)
    assert len(bodies) > 3
    assert all(len(contents) == 1 for contents in bodies.values())
