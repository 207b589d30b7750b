"""Going back to the models of an earlier cut: served at once, learned on from, the same after every restart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.errors import TrainingRecordError
from models.model_events import event_id
from models.trainer import Trainer
from streams.replay.model_history import rollback_record
from tests.support.training_logs import DAY, SPEC, START, Body, example, mark, plain_loop, trainer_over

FIRST = [example(n, START + n, schema=SPEC.schema) for n in range(40)]
BAD = [example(n, START + DAY + n, schema=SPEC.schema) for n in range(40, 80)]
AFTER = [example(n, START + 2 * DAY + n, schema=SPEC.schema) for n in range(80, 120)]


def fed(trainer: Trainer, topic: list[Body], first: int = 0) -> list[dict[str, Any]]:
    """What a trainer publishes of a topic from an offset on."""
    published: list[dict[str, Any]] = []
    for offset, body in enumerate(topic[first:], start=first):
        if body["type"] == "mark":
            published += trainer.mark(body, offset, 0)
        elif body["type"] == "rollback":
            published += trainer.rollback(body, offset)
        else:
            published += trainer.example(body, offset)
    return published


def before_the_rollback() -> list[Body]:
    return [*FIRST, mark(START + DAY + 1), *BAD, mark(START + 2 * DAY + 1)]


def cuts_of(published: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in published if record["type"] == "cut"]


def asked_for(cut: dict[str, Any]) -> Body:
    return rollback_record(cut, "ann", 1_000)


def rolled_back() -> list[Body]:
    """A topic on which somebody went back to before the bad day."""
    good = cuts_of(fed(trainer_over(1), before_the_rollback()))[0]
    return [*before_the_rollback(), asked_for(good), *AFTER, mark(START + 3 * DAY + 1)]


def test_the_earlier_models_are_cut_again_for_the_day_that_serves() -> None:
    published = fed(trainer_over(1), rolled_back())
    good, bad, again, _ = cuts_of(published)
    assert again["heads"]["churn"]["models"] == good["heads"]["churn"]["models"]
    assert (again["day"], again["version"][:8]) == (bad["day"], bad["version"][:8])


def test_learning_goes_on_from_them() -> None:
    last = cuts_of(fed(trainer_over(1), rolled_back()))[-1]
    expected = plain_loop([*FIRST, *AFTER], START + 3 * DAY).state()
    assert last["heads"]["churn"]["models"]["posterior"] == expected


def test_it_is_told_who_went_back_to_what() -> None:
    published = fed(trainer_over(1), rolled_back())
    [event] = [record for record in published if record["type"] == "rollback"]
    good, bad, again, _ = cuts_of(published)
    assert (event["by"], event["as_of_version"], event["from"], event["to"]) == (
        "ann",
        good["version"],
        bad["version"],
        again["version"],
    )
    assert event["id"] == event_id("rollback", asked_for(good)["id"])


def test_what_happened_is_told_before_the_cut_that_shows_it() -> None:
    kinds = [record["type"] for record in fed(trainer_over(1), rolled_back())]
    assert kinds.index("rollback") < len(kinds) - 1 - kinds[::-1].index("cut")


def test_the_scorecard_stays_as_it_is_of_what_was_served() -> None:
    trainer = trainer_over(1)
    fed(trainer, rolled_back())
    assert trainer.churn.scorecard.summary()["labels"] == 120


def test_a_restart_from_any_cut_ends_with_the_same_model() -> None:
    topic = rolled_back()
    whole = trainer_over(1)
    published = fed(whole, topic)
    for cut in cuts_of(published):
        again = Trainer.from_cut(json.loads(json.dumps(cut)), 1, [SPEC])
        fed(again, topic, cut["next_offset"])
        assert again.churn.model.state() == whole.churn.model.state()
        assert again.counts == whole.counts


def test_a_rollback_can_be_rolled_back() -> None:
    published = fed(trainer_over(1), rolled_back())
    bad = cuts_of(published)[1]
    trainer = trainer_over(1)
    fed(trainer, [*rolled_back(), asked_for(bad)])
    assert trainer.churn.model.state() == plain_loop([*FIRST, *BAD], START + 2 * DAY).state()


def test_models_that_do_not_fit_are_refused_and_nothing_is_changed() -> None:
    trainer = trainer_over(1)
    good = cuts_of(fed(trainer, before_the_rollback()))[0]
    before = trainer.churn.model.state()
    record = asked_for(good)
    record["heads"]["churn"]["models"]["posterior"]["weights"] = [1.0]
    with pytest.raises(TrainingRecordError, match="offset 82 do not hold together"):
        trainer.rollback(record, 82)
    assert (trainer.churn.model.state(), trainer.counts["rollbacks"]) == (before, 0)


def test_before_the_first_day_there_is_nothing_to_go_back_from() -> None:
    good = cuts_of(fed(trainer_over(1), before_the_rollback()))[0]
    assert trainer_over(1).rollback(asked_for(good), 0) == []
