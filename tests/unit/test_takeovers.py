"""A takeover from end to end: a trainer whose champion cannot learn, and a challenger that can."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, Final

import pytest

from models.churn import BayesianLogistic
from models.contest import FULL_DAY
from models.head_spec import CHURN, HeadSpec
from models.heads import Head, head_of
from models.serving import Cuts
from models.snapshots import dumps, loads
from models.trainer import Trainer
from streams.model_records import TOPIC_OF, record_key
from streams.topics import MODEL_EVENTS
from tests.support.training_logs import DAY, FEATURES, START, Body, example, instant, mark

DAYS: Final = 70
WEEK: Final = 7
"""The horizon, in days."""
DULL: Final = partial(BayesianLogistic, prior_variance=1e-12)
KEEN: Final = partial(BayesianLogistic, prior_variance=0.03)
"""Knows the base rate and nothing else: its weights cannot leave zero."""
SPEC: Final = HeadSpec(CHURN, FEATURES, WEEK, min_labels=200, candidates={"dull": DULL, "keen": KEEN})

Records = list[dict[str, Any]]


def log(*, spaced: bool = True) -> list[Body]:
    """A day's examples and then the mark that covers them, for some weeks."""
    bodies: list[Body] = []
    for day in range(DAYS):
        numbers = [4 * (FULL_DAY * day + n) + 1 for n in range(FULL_DAY)]
        at = START + day * DAY + 1
        told: Body = {"as_of": instant(at - WEEK * DAY), "horizon_days": WEEK, "spaced": spaced, "format": 2}
        bodies += [example(n, at + n % 1000, schema=SPEC.schema, **told) for n in numbers]
        bodies.append(mark(START + (day + 1) * DAY + 1))
    return bodies


def fed(trainer: Trainer, bodies: list[Body], first: int = 0) -> Records:
    """What a trainer publishes over the log, from an offset on."""
    records: Records = []
    for offset, body in enumerate(bodies[first:], first):
        take = trainer.mark(body, offset, 0) if body["type"] == "mark" else trainer.example(body, offset)
        records += take
    return records


@lru_cache(maxsize=1)
def published() -> Records:
    return fed(Trainer(1, [head_of(SPEC)]), log())


def takeovers(records: Records) -> Records:
    return [record for record in records if record["type"] == "takeover"]


def cuts_of(records: Records) -> Records:
    return [record for record in records if record["type"] == "cut"]


def champions(records: Records) -> list[str]:
    return [cut["heads"][CHURN]["champion"] for cut in cuts_of(records)]


def test_the_better_learner_takes_over() -> None:
    assert [(event["head"], event["from"], event["to"]) for event in takeovers(published())] == [
        (CHURN, "dull", "keen")
    ]


def test_a_takeover_says_by_how_much_the_challenger_was_better() -> None:
    (event,) = takeovers(published())
    assert event["e_value"] >= 100.0
    assert event["better_by"] == pytest.approx(event["champion_log_loss"] - event["log_loss"])
    assert event["better_by"] > 0.05


def test_the_cut_of_the_day_of_the_takeover_has_the_new_champion() -> None:
    records = published()
    (event,) = takeovers(records)
    at = records.index(event)
    day = records[at + 1]
    assert (day["type"], day["day_at"], day["heads"][CHURN]["champion"]) == ("cut", event["at"], "keen")
    assert set(champions(records[:at])) == {"dull"}
    assert set(champions(records[at:])) == {"keen"}


def test_scorers_serve_the_new_champion_from_that_cut_on() -> None:
    records = published()
    (event,) = takeovers(records)
    at = records.index(event)
    cuts = Cuts([SPEC])
    for record in (*cuts_of(records[:at]), records[at + 1]):
        cuts.add(record)
    day_ms = records[at + 1]["day"]
    before, after = (cuts.cut_at(day_ms + hours * 3_600_000)[0] for hours in (0, 1))
    keen = BayesianLogistic.from_state(FEATURES, records[at + 1]["heads"][CHURN]["models"]["keen"])
    for vector in ([1.0, 8.0, 20.0], [60.0, 1.0, 20.0]):
        assert after.probability(vector) == pytest.approx(keen.probability(vector), rel=1e-12)
        assert before.probability(vector) != pytest.approx(after.probability(vector), abs=0.05)


def test_both_learners_learn_every_example() -> None:
    head = cuts_of(published())[-1]["heads"][CHURN]
    assert {name: model["labels"] for name, model in head["models"].items()} == {
        "dull": DAYS * FULL_DAY,
        "keen": DAYS * FULL_DAY,
    }


def test_a_trainer_goes_on_from_any_cut_to_the_same_bits() -> None:
    """Cuts, takeovers and their order are what a trainer that never stopped would have published."""
    bodies, records = log(), published()
    for cut in cuts_of(records)[5::30]:
        trainer = Trainer.from_cut(loads(dumps(cut)), 1, [SPEC])
        assert fed(trainer, bodies, cut["next_offset"]) == records[records.index(cut) + 1 :]


def test_a_trainer_goes_on_from_the_cuts_around_a_takeover_to_the_same_bits() -> None:
    bodies, records = log(), published()
    at = records.index(takeovers(records)[0])
    for cut in (records[at - 1], records[at + 1]):
        trainer = Trainer.from_cut(loads(dumps(cut)), 1, [SPEC])
        assert fed(trainer, bodies, cut["next_offset"]) == records[records.index(cut) + 1 :]


def test_a_rollback_brings_the_former_champion_back() -> None:
    records = published()
    at = records.index(takeovers(records)[0])
    trainer = Trainer.from_cut(records[-1], 1, [SPEC])
    asked = {"type": "rollback", "format": 2, "id": "r1", "version": records[at - 1]["version"], "by": "ada"}
    *_, cut = trainer.rollback({**asked, "heads": records[at - 1]["heads"]}, records[-1]["next_offset"])
    assert cut["heads"][CHURN]["champion"] == "dull"
    assert cut["heads"][CHURN]["models"] == records[at - 1]["heads"][CHURN]["models"]
    assert cut["heads"][CHURN]["contest"]["examples"] == 0


def test_examples_that_are_not_spaced_change_no_champion() -> None:
    assert takeovers(fed(Trainer(1, [head_of(SPEC)]), log(spaced=False))) == []


def test_learners_are_compared_on_scores_taken_once_both_had_learned_enough_to_serve() -> None:
    """200 labels are in the cut after four days; it serves from the fifth on, and labels of then come on the 12th."""
    head = head_of(SPEC)
    trainer, compared = Trainer(1, [head]), []
    assert isinstance(head, Head)
    bodies = log()
    for day in range(14):
        fed(trainer, bodies[: (day + 1) * (FULL_DAY + 1)], day * (FULL_DAY + 1))
        compared.append(head.contest.evidence()["keen"]["examples"])
    assert compared == [0] * 12 + [FULL_DAY, 2 * FULL_DAY]


def test_a_candidate_that_a_newer_release_adds_begins_anew_beside_the_champion() -> None:
    cut = cuts_of(published())[-1]
    candidates = {**SPEC.candidates, "third": BayesianLogistic}
    newer = HeadSpec(CHURN, FEATURES, WEEK, min_labels=200, candidates=candidates)
    head = Trainer.from_cut(cut, 1, [newer]).heads[CHURN]
    assert isinstance(head, Head)
    assert (head.champion, head.learners["third"].labels) == ("keen", 0)
    assert set(head.contest.evidence()) == {"dull", "third"}


def test_a_takeover_goes_to_the_topic_of_events_under_its_id() -> None:
    (event,) = takeovers(published())
    assert (TOPIC_OF[event["type"]], record_key(event).decode()) == (MODEL_EVENTS, event["id"])


def test_partitions_may_come_in_any_order() -> None:
    """Whichever partition is read first: the same takeover, and the same cut of its day."""
    found = []
    for order in ((0, 1), (1, 0)):
        told, bodies = list[Body](), list[Body]()
        for body in log():
            if body["type"] == "mark":
                of_day, bodies = bodies, []
                for partition in order:
                    told.extend({**one, "partition": partition} for one in of_day if one["user_hash"] % 2 == partition)
                    told.append({**body, "partition": partition, "partitions": 2})
            else:
                bodies.append(body)
        records = fed(Trainer(2, [head_of(SPEC)]), told)
        found.append((takeovers(records), [cut["version"] for cut in cuts_of(records)]))
    assert found[0] == found[1]
    assert len(found[0][0]) == 1
