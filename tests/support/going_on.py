"""An installation of one partition without Kafka: it goes on from a hand-over, through what stands in its topics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.snapshots import rebased
from streams import model_records
from streams.core.messages import mark_body
from streams.model_records import trainer_from
from streams.replay import offline
from streams.replay.handed_over import HandedOver
from streams.replay.handover import FOLDER as HANDOVER
from streams.replay.handover import HandoverWriter
from streams.replay.offline import OfflineRun
from streams.replay.result_folder import ResultFolder
from streams.replay.run_options import RunOptions
from streams.replay.shards import OneShard
from streams.replay.sources import Source
from tests.support.offline_runs import Body, Kept, ListedRows


def handed_over(source: Source, options: RunOptions, folder: Path) -> HandedOver:
    """A finished run, as a backfill leaves it."""
    options = replace(options, stored_profiles=True)
    with ResultFolder(folder) as results, HandoverWriter(results.part(HANDOVER)) as writer:
        OfflineRun(source, results, options, lambda progress: None, handover=writer).run()
    return HandedOver(folder)


def gone_on(rows: Sequence[Body], handed: HandedOver, options: RunOptions, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """What is told of rows, once the profiles, the model and the times of a hand-over are in."""
    document = handed.document
    days = list(handed.cuts())
    cuts = [record for record in days if record["type"] == "cut"]
    resumed: list[Any] = []

    def trainer(*arguments: Any, **named: Any) -> Any:
        if not cuts:
            resumed.append(fresh(*arguments, **named))
        else:
            cut = rebased(cuts[-1], partitions=1, next_offset=0)
            resumed.append(trainer_from(cut, 1, options.horizon_days, options.propensity_days))
        return resumed[-1]

    fresh = model_records.new_trainer
    kept = Kept()
    with monkeypatch.context() as patched:
        patched.setattr(offline, "new_trainer", trainer)
        shard = OneShard(options)
        run = OfflineRun(ListedRows(rows), kept, options, lambda progress: None, shards=shard)
        for record in days:
            shard.serve(record)
        engine = shard._shard._engines[0]
        stored = {}
        for one in handed.profiles():
            stored[one.key.decode()] = one.value
        engine._profiles._store = stored  # as an owner's store is there before its engine
        for user_id, value in stored.items():
            engine.restore(user_id, value)
        engine.watermark, engine.newest, engine.clock = document.watermark, document.newest, document.clock
        engine.applied_until = document.applied_until
        for user_id in stored:
            engine.last_order(user_id)  # decodes: at the end everybody in the cache has a portrait
        offset = 0
        for body in handed.examples():
            run._published(resumed[0].example(body, offset))
            offset += 1
        mark = mark_body(0, 1, document.watermark, drained=False, clock="wall", until=None)
        run._published(resumed[0].mark(mark, offset, 0))
        run._exchanged = offset + 1
        run.run()
    return kept
