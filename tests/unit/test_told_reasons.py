"""Reasons as the engine tells them: what a score is compared with, and that it outlives restarts and corrections."""

from __future__ import annotations

from itertools import pairwise
from math import log
from typing import Any

import pytest

from streams.core.events import DAY_MS
from streams.core.instants import format_instant
from streams.core.ports import ChurnScorer
from tests.support.partition_runs import PartitionRun
from tests.support.scorers import DailyCuts, FixedScorer
from tests.support.worlds import START, click, purchase


def risks(run: PartitionRun) -> list[dict[str, Any]]:
    return [output.body for output in run.told("churn-risk")]


def logit(probability: float) -> float:
    return log(probability / (1.0 - probability))


def customer(scorer: ChurnScorer | None = None) -> PartitionRun:
    run = PartitionRun(scorer)
    run.feed([click(START, "ada"), purchase(START + DAY_MS, "ada"), purchase(START + 9 * DAY_MS, "ada", order="b")])
    run.advance(START + 30 * DAY_MS)
    return run


def test_base_and_families_of_every_score_add_up_to_its_logit() -> None:
    for body in risks(customer()):
        assert body["base"] + sum(body["families"].values()) == pytest.approx(logit(body["probability"]), abs=1e-9)


def test_the_first_score_has_changed_nothing() -> None:
    assert risks(customer())[0]["changed"] is None


def test_every_later_score_is_held_against_the_one_told_before() -> None:
    bodies = risks(customer())
    assert len(bodies) > 3
    for before, body in pairwise(bodies):
        changed = body["changed"]
        assert (changed["since"], changed["probability"]) == (before["as_of"], before["probability"])
        moved = changed["base"] + sum(one["change"] for one in changed["by"]) + changed["others"]
        assert moved == pytest.approx(logit(body["probability"]) - logit(before["probability"]), abs=1e-9)


def test_a_week_of_silence_is_what_changed() -> None:
    last = risks(customer())[-1]
    recency = next(one for one in last["changed"]["by"] if one["family"] == "recency")
    assert recency["change"] > 0.0
    assert recency["text"].startswith("last order ")
    assert recency["text"].endswith(" at the last score")


def test_whether_the_model_is_another_one_is_told() -> None:
    assert {body["changed"]["model_changed"] for body in risks(customer())[1:]} == {True}
    assert {body["changed"]["model_changed"] for body in risks(customer(FixedScorer(0.4)))[1:]} == {False}


def test_while_the_model_is_cold_there_is_nothing_to_explain() -> None:
    for body in risks(customer(DailyCuts(warm_from=START + 90 * DAY_MS))):
        assert (body["reasons"], body["base"], body["families"], body["changed"]) == ([], None, {}, None)


def test_the_first_score_of_a_warm_model_has_changed_nothing() -> None:
    bodies = risks(customer(DailyCuts(warm_from=START + 15 * DAY_MS)))
    first = next(body for body in bodies if not body["cold_start"])
    assert bodies[0]["cold_start"]
    assert first["changed"] is None


def test_a_restart_remembers_what_was_told_last() -> None:
    straight, stopped = customer(), customer()
    stopped.restart()
    for run in (straight, stopped):
        run.advance(START + 40 * DAY_MS)
    assert [body["changed"] for body in risks(stopped)] == [body["changed"] for body in risks(straight)]


def test_a_corrected_score_is_held_against_what_was_told_last() -> None:
    run = customer()
    before = risks(run)[-1]
    run.feed([purchase(START + 30 * DAY_MS - 1, "ada", price=90.0, order="c")])
    body = risks(run)[-1]
    assert body["seq"] > before["seq"]
    assert body["changed"]["since"] == before["as_of"]


def test_a_score_asked_for_says_what_changed_and_leaves_no_trace() -> None:
    run = customer()
    last, stored = risks(run)[-1], run.engine.encoded("ada")
    (asked,) = run.engine.score_now("ada", START + 31 * DAY_MS, run.scorer)
    assert asked.body["changed"]["since"] == last["as_of"]
    assert run.engine.encoded("ada") == stored


def test_what_changed_is_no_part_of_the_id() -> None:
    """A repeat after a crash may be held against another score, and is still the same message about the same thing."""
    run = customer()
    profile = run.engine._profiles.find("ada")
    assert profile is not None
    (one,) = run.engine.score_now("ada", START + 31 * DAY_MS, run.scorer)
    profile.delivery.explained = None
    (other,) = run.engine.score_now("ada", START + 31 * DAY_MS, run.scorer)
    assert one.body["changed"] != other.body["changed"]
    assert one.id == other.id


def test_as_of_is_the_instant_of_the_score() -> None:
    run = customer()
    (asked,) = run.engine.score_now("ada", START + 31 * DAY_MS, run.scorer)
    assert asked.body["as_of"] == format_instant(START + 31 * DAY_MS)
