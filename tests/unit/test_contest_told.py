"""How a contest stands, as operators see it: on the scorecard, in metrics and on the terminal."""

from __future__ import annotations

import math
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry

from models.contest import Contest, evidence_of
from models.scorecard import Scorecard
from models.scorecards import scorecard_records
from streams.cli.model import told
from streams.live.metering import Metering
from streams.metrics.registry import Metrics

DAY: Final = 86_400_000


def contest(days: int = 20) -> Contest:
    found = Contest(["plain", "sharp"], "plain")
    for day in range(days):
        for number in range(50):
            found.observe(day * DAY + 1 + number, {"plain": 0.5, "sharp": 0.6}, True, spaced=True)
    found.close(days * DAY)
    return found


def head(found: Contest) -> dict[str, Any]:
    models: dict[str, Any] = {"plain": {}, "sharp": {}}
    champion = {"champion": found.champion, "models": models, "contest": found.state()}
    return {"horizon_days": 30, "cold_start": False, "scorecard": Scorecard().state(), **champion}


def card(found: Contest) -> dict[str, Any]:
    (record,) = scorecard_records({"version": "v", "day": 0, "heads": {"churn": head(found)}}, lambda name: None)
    return record


def test_the_evidence_is_in_the_cut() -> None:
    assert evidence_of(head(contest())) == contest().evidence()


def test_a_head_without_a_contest_has_no_evidence() -> None:
    assert evidence_of({"champion": "spend", "models": {"spend": {}}}) == {}


def test_a_scorecard_says_who_serves_and_what_speaks_for_the_others() -> None:
    record = card(contest())
    assert (record["champion"], record["challengers"]) == ("plain", contest().evidence())


def test_evidence_is_a_metric_as_a_share_of_what_a_takeover_takes() -> None:
    registry = CollectorRegistry()
    Metering(Metrics(registry)).scorecards([card(contest())])
    found = {
        name: [registry.get_sample_value(name, {"head": "churn", "learner": learner}) for learner in ("plain", "sharp")]
        for name in ("ebbtide_model_champion_info", "ebbtide_model_challenger_evidence_ratio")
    }
    evidence = contest().evidence()["sharp"]["e_value"] / 100.0
    assert 0.0 < evidence < 1.0
    assert found == {
        "ebbtide_model_champion_info": [1.0, 0.0],
        "ebbtide_model_challenger_evidence_ratio": [0.0, evidence],
    }


def test_a_takeover_is_told_with_its_figures() -> None:
    found = Contest(["plain", "sharp"], "plain")
    given = {"plain": 0.5, "sharp": 0.9}
    (event,) = [
        event
        for day in range(60)
        for number in range(50)
        for event in found.observe(day * DAY + 1 + number, given, True, spaced=True)
    ]
    days = event["days"]
    assert event["better_by"] == pytest.approx(math.log(1.8))
    assert told(event) == (
        f"sharp took over from plain: 0.5878 nats better than the champion over {50 * days:,} scores of {days} days; "
        f"evidence {event['e_value']:.3g} of the 100 it takes"
    )
