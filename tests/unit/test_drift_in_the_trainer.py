"""A world that changes, end to end: examples and marks in; an alarm, wider weights and the same champion out."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any, cast

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from models.churn import BayesianLogistic
from models.errors import SnapshotError
from models.head_spec import CHURN, HeadSpec
from models.heads import head_of
from models.serving import Cuts
from models.snapshots import checksum_of
from models.trainer import Trainer
from streams.cli.model import told
from streams.live.metering import Metering
from streams.metrics import catalogue
from streams.metrics.registry import Metrics
from streams.model_records import TOPIC_OF, record_key
from streams.topics import MODEL_EVENTS
from tests.support.training_logs import DAY, FEATURES, HORIZON_DAYS, HOUR, START, Body, example, mark, plain_loop

DAYS, PER_DAY, SHIFT_DAY = 20, 250, 16
SPEC = HeadSpec(CHURN, FEATURES, HORIZON_DAYS, families={"recency": "recency", "frequency": "habit", "spend": "money"})


@cache
def topic() -> tuple[Body, ...]:
    """20 days of 250 labels; from the 17th on everybody is more likely to stay away, by one logit."""
    random = np.random.default_rng(5)
    bodies: list[Body] = []
    for day in range(DAYS):
        for number in range(day * PER_DAY, (day + 1) * PER_DAY):
            vector = random.normal(size=3).astype("<f4")
            logit = 0.8 * vector[0] - 0.5 * vector[1] - 0.5 + (day >= SHIFT_DAY)
            came: dict[str, Any] = {
                "features": base64.b64encode(vector.tobytes()).decode(),
                "churned": bool(random.random() < 1.0 / (1.0 + np.exp(-logit))),
                "spaced": number % 3 > 0,
                "format": 2,
            }
            bodies.append(example(number, START + day * DAY + HOUR + number % PER_DAY, schema=SPEC.schema, **came))
        bodies.append(mark(START + (day + 1) * DAY + 1))
    return tuple(bodies)


def fed(trainer: Trainer, first: int = 0) -> list[dict[str, Any]]:
    published: list[dict[str, Any]] = []
    for offset, body in enumerate(topic()[first:], start=first):
        published += trainer.mark(body, offset, 0) if body["type"] == "mark" else trainer.example(body, offset)
    return published


@cache
def run() -> tuple[Trainer, tuple[dict[str, Any], ...]]:
    trainer = Trainer(1, [head_of(SPEC)])
    return trainer, tuple(fed(trainer))


def events() -> list[dict[str, Any]]:
    return [record for record in run()[1] if record["type"] == "drift"]


def cuts() -> list[dict[str, Any]]:
    return [record for record in run()[1] if record["type"] == "cut"]


def variance_of(cut: dict[str, Any]) -> float:
    """Mean posterior variance of the weights."""
    model = BayesianLogistic.from_state(FEATURES, cut["heads"][CHURN]["models"]["posterior"])
    return float(model.covariance.diagonal().mean())


def test_the_shift_is_alarmed_within_a_thousand_labels_and_nothing_else_is() -> None:
    [event] = [event for event in events() if event["signal"] == "residual"]
    assert SHIFT_DAY * PER_DAY < event["label"] <= SHIFT_DAY * PER_DAY + 1_000
    assert all(event["label"] > SHIFT_DAY * PER_DAY for event in events())


def test_an_alarm_goes_to_the_topic_of_model_events_under_its_id() -> None:
    assert TOPIC_OF[events()[0]["type"]] == MODEL_EVENTS
    assert record_key(events()[0]) == events()[0]["id"].encode()


def test_the_list_of_models_tells_it() -> None:
    assert told(events()[0]).startswith("drift of residual: mean ")
    assert "the champion stays" in told(events()[0])


def test_the_alarm_widens_the_posterior() -> None:
    plain = plain_loop(topic_of_examples(), START + DAYS * DAY).covariance.diagonal().mean()
    assert variance_of(cuts()[-1]) > 1.5 * plain


def topic_of_examples() -> list[Body]:
    return [body for body in topic() if body["type"] == "example"]


def test_until_the_alarm_nothing_was_learned_otherwise() -> None:
    before = next(cut for cut in cuts() if cut["day"] == START + SHIFT_DAY * DAY)
    expected = plain_loop(topic_of_examples(), before["day"]).state()
    assert before["heads"][CHURN]["models"]["posterior"] == expected


def test_the_champion_goes_on_serving() -> None:
    served = Cuts([SPEC])
    for cut in cuts():
        served.add(cut)
        assert cut["heads"][CHURN]["champion"] == "posterior"
    vector = [0.5, 0.0, 0.0]
    steady, _ = served.cut_at(START + SHIFT_DAY * DAY + HOUR)
    moved, stale = served.cut_at(START + DAYS * DAY + HOUR)
    assert steady is not None
    assert moved is not None
    assert not stale
    assert moved.probability(vector) > steady.probability(vector) + 0.05


@pytest.mark.parametrize("which", [0, 5, -6, -4, -3, -2])
def test_restarted_from_any_cut_it_ends_with_the_same_cut_and_alarms(which: int) -> None:
    cut = json.loads(json.dumps(cuts()[which]))
    again = fed(Trainer.from_cut(cut, 1, [SPEC]), cut["next_offset"])
    assert again[-1] == run()[1][-1]
    repeated = {record["id"]: record for record in again if record["type"] == "drift"}
    assert repeated == {event["id"]: event for event in events() if event["label"] > cut["heads"][CHURN]["examples"]}


def test_the_alarm_is_counted() -> None:
    metrics = Metrics(CollectorRegistry())
    Metering(metrics).learned(run()[0])
    assert metrics.value(catalogue.DRIFT_ALARMS, CHURN, "residual") == 1


def test_a_cut_with_a_tampered_window_is_refused_as_one_that_does_not_hold_together() -> None:
    cut = json.loads(json.dumps(cuts()[-1]))
    cast(dict[str, Any], cut["heads"][CHURN]["drift"]["errors"][0])["rows"][-1] = 99
    cut["checksum"] = checksum_of(cut)
    with pytest.raises(SnapshotError, match="does not hold together"):
        Trainer.from_cut(cut, 1, [SPEC])
