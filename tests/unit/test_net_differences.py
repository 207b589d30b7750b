"""What a bootstrap tells: how a portrait differs from the last one that the world was given."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.codec import encode
from streams.core.errors import InputFileError
from streams.core.events import DAY_MS
from streams.core.messages import SegmentChange
from streams.core.net_differences import NetDifferences, Portrait, Told, decode_portrait, told_of
from tests.support.partition_runs import HORIZON_DAYS, PartitionRun
from tests.support.scorers import FixedScorer
from tests.support.worlds import START, click, purchase

END = START + 9 * DAY_MS
DIFFERENCES = NetDifferences(END, "default-1", HORIZON_DAYS)


def known(user: str) -> Portrait:
    """A customer "ann" with stage, tier and risk band; a visitor "vic" with a stage alone."""
    run = PartitionRun(FixedScorer(0.4))
    run.feed([purchase(START, "ann", event_id="a"), click(START + 1, "vic", event_id="b")])
    run.close(END)
    found = run.engine.portrait(user)
    assert found is not None
    return decode_portrait(encode(found.body), "here")


def changed(portrait: Portrait, told: Told | None) -> list[dict[str, Any]]:
    return [change.body for change in DIFFERENCES.changes(portrait, told, DIFFERENCES.seq(portrait, told))]


def moves(portrait: Portrait, told: Told | None) -> list[tuple[str, str | None, str | None]]:
    return [(body["dimension"], body["previous"], body["current"]) for body in changed(portrait, told)]


def test_of_whom_nothing_was_told_everything_is_told_once() -> None:
    ann = known("ann")
    stage, tier, band = ann.standing()
    assert moves(ann, None) == [("lifecycle", None, stage), ("value_tier", None, tier), ("risk_band", None, band)]
    assert None not in (stage, tier, band)


def test_who_never_bought_has_a_stage_alone() -> None:
    assert [dimension for dimension, _, _ in moves(known("vic"), None)] == ["lifecycle"]


def test_the_same_portrait_tells_nothing() -> None:
    ann = known("ann")
    assert moves(ann, told_of(ann)) == []


def test_only_what_is_different_is_told_from_what_was_told() -> None:
    ann = known("ann")
    before = told_of(ann)._replace(id="other", stage="visitor")
    assert moves(ann, before) == [("lifecycle", "visitor", ann.lifecycle.stage)]


def test_a_tier_that_is_gone_is_told_too() -> None:
    vic = known("vic")
    before = told_of(vic)._replace(id="other", tier="gold")
    assert moves(vic, before) == [("value_tier", "gold", None)]


def test_every_message_is_one_of_its_topic() -> None:
    for body in changed(known("ann"), None):
        assert msgspec.convert(body, SegmentChange).cause.kind == "policy"


def test_sequence_numbers_end_with_that_of_the_portrait() -> None:
    ann = known("ann")
    assert [body["seq"] for body in changed(ann, None)] == [ann.seq - 2, ann.seq - 1, ann.seq]


def test_they_are_above_what_was_told_before() -> None:
    ann = known("ann")
    before = Told("other", 900, "visitor", None, None)
    assert min(body["seq"] for body in changed(ann, before)) > 900


def test_nothing_different_counts_nothing() -> None:
    ann = known("ann")
    assert DIFFERENCES.seq(ann, told_of(ann)._replace(seq=ann.seq)) == ann.seq


def test_ids_repeat_with_what_they_say() -> None:
    ann = known("ann")
    first, again = (DIFFERENCES.changes(ann, None, ann.seq) for _ in range(2))
    assert [change.id for change in first] == [change.id for change in again]
    assert len({change.id for change in first}) == 3


def test_as_of_is_the_end_of_what_was_loaded() -> None:
    assert {body["as_of"] for body in changed(known("ann"), None)} == {"2023-11-24T00:00:00.000Z"}


def test_something_else_is_no_portrait() -> None:
    with pytest.raises(InputFileError, match="here is no portrait"):
        decode_portrait(b'{"user_id":"ann"}', "here")
