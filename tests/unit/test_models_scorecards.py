"""Scorecards as records: what a cut makes of them, what became of every score, and the words of scorecard.json."""

from __future__ import annotations

from typing import Any

import pytest

from models.accounts import Account, Tally, account_of
from models.errors import TrainingRecordError
from models.examples import decode_mark
from models.scorecard import Scorecard
from models.scorecards import in_words_of_churn, observations, run_document, scorecard_records
from models.trainer import Trainer
from tests.support.scored_labels import labels
from tests.support.training_logs import DAY, SPEC, START, example, mark, trainer_over

COUNTS = {"opened": 9, "churned": 2, "returned": 3, "erased": 1}


def tally(since: int = 0, **counts: int) -> dict[str, Any]:
    return {"since": since, "heads": {"churn": {**COUNTS, **counts}}}


def card(count: int = 30) -> Scorecard:
    scored = Scorecard()
    for number, (p, y) in enumerate(labels(count)):
        scored.observe(number, number + 9, p, y, "loyal", None)
    return scored


def taught(*marks: dict[str, Any]) -> tuple[Trainer, dict[str, Any]]:
    """A trainer of two partitions after 40 examples, and its last cut."""
    trainer = trainer_over(2)
    for number in range(40):
        trainer.example(example(number, START + number, schema=SPEC.schema), number)
    published = [record for at, one in enumerate(marks) for record in trainer.mark(one, 40 + at, 0)]
    return trainer, [record for record in published if record["type"] == "cut"][-1]


def marks(**fields: Any) -> list[dict[str, Any]]:
    return [{**mark(START + DAY + 1, partition=at, partitions=2), **fields} for at in range(2)]


def test_the_record_of_a_cut_has_the_figures_of_its_scorecard() -> None:
    trainer, cut = taught(*marks())
    (record,) = scorecard_records(cut, trainer.account)
    expected = Scorecard.from_state(trainer.churn.scorecard.state(), whole_run=False).summary()
    assert {name: record[name] for name in expected} == expected


def test_the_record_names_the_cut_and_what_is_asked() -> None:
    trainer, cut = taught(*marks())
    (record,) = scorecard_records(cut, trainer.account)
    assert [record[name] for name in ("type", "head", "outcome", "horizon_days", "version", "as_of")] == [
        "scorecard",
        "churn",
        "churned",
        30,
        cut["version"],
        cut["day_at"],
    ]


def test_a_head_without_a_scorecard_has_no_record() -> None:
    head = {"horizon_days": 30, "cold_start": False, "scorecard": card().state()}
    cut = {"version": "v", "day": 0, "heads": {"churn": head, "value": {"horizon_days": 30}}}
    assert [record["head"] for record in scorecard_records(cut, lambda name: None)] == ["churn"]


def test_opened_is_what_became_of_the_scores_over_all_partitions() -> None:
    trainer, cut = taught(*marks(tally=tally()))
    (record,) = scorecard_records(cut, trainer.account)
    assert record["observations"] == {
        "opened": 18,
        "churned": 4,
        "returned": 6,
        "erased": 2,
        "pending": 6,
        "partitions": 2,
        "since": None,
    }


def test_marks_of_before_scores_were_counted_leave_the_account_open() -> None:
    trainer, cut = taught(*marks())
    assert scorecard_records(cut, trainer.account)[0]["observations"] is None


def test_a_partition_that_does_not_count_yet_is_not_in() -> None:
    first, second = marks()
    trainer, _ = taught({**first, "tally": tally()}, second)
    account = trainer.account("churn")
    assert account is not None
    assert (account.partitions, account.counts["opened"]) == (1, 9)


def test_accounts_begin_with_the_partition_that_began_last() -> None:
    account = account_of("churn", [Tally(5, {"churn": COUNTS}), Tally(9, {"churn": COUNTS}), None])
    assert account is not None
    assert account.since_ms == 9


def test_a_head_that_nobody_counts_has_no_account() -> None:
    assert account_of("propensity", [Tally(0, {"churn": COUNTS})]) is None


def test_the_last_tally_of_a_partition_counts() -> None:
    first, second = marks(tally=tally())
    trainer, _ = taught(first, second, {**second, "tally": tally(opened=12)})
    account = trainer.account("churn")
    assert account is not None
    assert account.counts["opened"] == 9 + 12


def test_a_restarted_trainer_knows_the_tallies_of_its_cut() -> None:
    trainer, cut = taught(*marks(tally=tally()))
    assert Trainer.from_cut(cut, 2, [SPEC]).account("churn") == trainer.account("churn")


@pytest.mark.parametrize(
    "broken", [{}, {"since": 0}, {"since": -1, "heads": {}}, {"since": 0, "heads": {"churn": {"opened": "9"}}}, 7]
)
def test_a_mark_with_a_tally_that_is_none_is_refused(broken: object) -> None:
    with pytest.raises(TrainingRecordError):
        decode_mark({**mark(START), "tally": broken}, 3, 1)


def test_since_is_an_instant_where_the_count_began_late() -> None:
    told = observations(Account(COUNTS, 1, DAY))
    assert told is not None
    assert told["since"] == "1970-01-02T00:00:00.000Z"


def test_the_document_of_a_run_has_the_words_that_scorecard_json_always_had() -> None:
    document = run_document({"churn": card()}, None, lambda name: None)
    assert document["churned"] == document["positives"]
    assert document["by_stage"]["loyal"]["churned_ratio"] == document["by_stage"]["loyal"]["positive_ratio"]
    assert document["window"]["bins"][0]["churned_ratio"] == document["window"]["bins"][0]["observed_ratio"]


def test_the_document_of_a_run_is_exact_over_all_its_labels() -> None:
    heads = run_document({"churn": card(), "propensity": card(9)}, None, lambda name: None)["heads"]
    assert {name: (one["outcome"], one["overall"]["n"]) for name, one in heads.items()} == {
        "churn": ("churned", 30),
        "propensity": ("bought", 9),
    }
    assert heads["churn"]["overall"]["auc"] is not None


def test_words_of_churn_leave_what_they_translate_as_it_was() -> None:
    before = {"positives": 1, "bins": [{"observed_ratio": 0.5}]}
    in_words_of_churn(before)
    assert before == {"positives": 1, "bins": [{"observed_ratio": 0.5}]}
