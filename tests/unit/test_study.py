"""The study's own arithmetic: labels delayed as Ebbtide's are, against the plain loop; mixtures, families, memory."""

from __future__ import annotations

import math

import numpy as np
import pytest
from river import linear_model

from models.churn import BayesianLogistic
from models.evaluation import exact_auc
from models.study.boosting import RefittedBoosting, Scores
from models.study.candidates import CHAMPION, Candidate, candidates
from models.study.contenders import OnDicts, Vector, bytes_of
from models.study.examples import DAY_MS, HOUR_MS, Flags, StudyCut, StudySet
from models.study.families import variations
from models.study.judgement import judge
from models.study.mixtures import Calibrated, LogitMean, WeighedMixture
from models.study.prequential import judged_rows, prequential

HORIZON = 5
FEATURES = ("recency", "frequency")


def small_shop(rows: int = 220, seed: int = 1) -> StudySet:
    """Scores at whole hours over 60 days; who was silent longer churns more; the last horizon has no outcome."""
    dice = np.random.default_rng(seed)
    at = np.sort(dice.integers(0, 60 * 24, rows)).astype(np.int64) * HOUR_MS
    matrix = dice.normal(size=(rows, 2)).astype(np.float32)
    outcomes = (dice.random(rows) < 1 / (1 + np.exp(-2 * matrix[:, 0]))).astype(np.int8)
    outcomes[at + HORIZON * DAY_MS > 60 * DAY_MS] = -1
    known = np.flatnonzero(outcomes >= 0)[-30:]
    cut = StudyCut("day 55", known, outcomes[known] == 1)
    users = dice.integers(0, 2**62, rows)
    sampled = dice.random(rows) < 0.7
    return StudySet("shop", HORIZON, FEATURES, ("recency", "frequency"), matrix, at, users, sampled, outcomes, (cut,))


def naive(study: StudySet, row: int, min_labels: int) -> float:
    """What a model fresh from nothing says, taught all that was known at the midnight before, hour kept."""
    midnight = (int(study.at_ms[row]) - HOUR_MS) // DAY_MS * DAY_MS
    taught = [
        other
        for other in range(len(study.at_ms))
        if study.sampled[other]
        and study.outcomes[other] >= 0
        and int(study.at_ms[other]) + HORIZON * DAY_MS <= midnight
    ]
    model = BayesianLogistic(FEATURES)
    for other in sorted(taught, key=lambda r: (int(study.at_ms[r]), int(study.user_hash[r]))):
        model.learn_vector(study.matrix[other].astype(np.float64), bool(study.outcomes[other]))
    warm = model.labels >= min_labels and 0 < model.positives < model.labels
    return model.probability(study.matrix[row].astype(np.float64)) if warm else math.nan


def test_every_score_is_that_of_a_model_taught_only_what_was_known_at_the_midnight_an_hour_before() -> None:
    study = small_shop()
    run = prequential(study, BayesianLogistic(FEATURES), min_labels=20)
    scored = sorted({*study.examples.tolist(), *study.cuts[0].rows.tolist()})
    expected = [naive(study, row, 20) for row in scored]
    assert np.array_equal(run.served[scored], expected, equal_nan=True)
    assert 0 < np.isnan(expected).sum() < len(scored) / 2


class Counting:
    """Says how many labels it has learned."""

    def __init__(self) -> None:
        self.learned = 0

    def learn_vector(self, vector: Vector, outcome: bool) -> None:
        self.learned += 1

    def probability(self, vector: Vector) -> float:
        return self.learned / 10


@pytest.mark.parametrize(("third_at", "learned"), [(0, 3), (1, 2)], ids=["at the midnight", "a millisecond later"])
def test_a_label_decided_at_the_very_midnight_is_learned_and_one_a_moment_later_is_not(
    third_at: int, learned: int
) -> None:
    at = np.array([0, 0, third_at, HORIZON * DAY_MS + HOUR_MS], dtype=np.int64)
    ones = np.ones((4, 1), dtype=np.float32)
    outcomes = np.array([1, 0, 1, 0], dtype=np.int8)
    study = StudySet(
        "four", HORIZON, ("x",), ("recency",), ones, at, np.arange(4), np.ones(4, dtype=bool), outcomes, ()
    )
    assert prequential(study, Counting(), min_labels=1).served[3] == learned / 10


def test_only_examples_served_before_their_outcome_are_judged() -> None:
    study = small_shop()
    run = prequential(study, BayesianLogistic(FEATURES), min_labels=20)
    rows = judged_rows(study, run)
    assert study.sampled[rows].all()
    assert (study.outcomes[rows] >= 0).all()
    judged = judge(study, run, 0)
    assert judged.prequential.n == len(rows)
    assert judged.prequential.auc == exact_auc(run.served[rows], study.outcomes[rows] == 1)
    assert judged.cuts["day 55"].n == 30


def test_a_smaller_shop_keeps_whole_users_and_the_rows_of_its_cuts() -> None:
    study = small_shop()
    smaller = study.one_user_in(3)
    assert 0 < len(smaller.at_ms) < len(study.at_ms)
    kept = set(smaller.user_hash.tolist())
    assert smaller.at_ms.tolist() == study.at_ms[[u in kept for u in study.user_hash.tolist()]].tolist()
    whole, part = study.cuts[0], smaller.cuts[0]
    expected = [
        (int(study.user_hash[row]), bool(y))
        for row, y in zip(whole.rows, whole.outcomes, strict=True)
        if int(study.user_hash[row]) in kept
    ]
    found = [(int(smaller.user_hash[row]), bool(y)) for row, y in zip(part.rows, part.outcomes, strict=True)]
    assert found == expected


def test_a_river_classifier_sees_the_vector_by_name() -> None:
    ours, theirs = OnDicts(FEATURES, linear_model.LogisticRegression()), linear_model.LogisticRegression()
    for k in range(50):
        ours.learn_vector(np.array([k / 50, 1.0]), k > 25)
        theirs.learn_one({"recency": k / 50, "frequency": 1.0}, k > 25)
    said = theirs.predict_proba_one({"recency": 0.3, "frequency": 1.0})  # type: ignore[no-untyped-call]
    assert ours.probability(np.array([0.3, 1.0])) == said[True]


class Says:
    """Always the same."""

    def __init__(self, probability: float) -> None:
        self.said = probability

    def learn_vector(self, vector: Vector, outcome: bool) -> None:
        """Nothing to learn."""

    def probability(self, vector: Vector) -> float:
        return self.said


def test_the_mean_of_logits_of_opposite_views_is_one_half() -> None:
    assert LogitMean([Says(0.9), Says(0.1)]).probability(np.zeros(1)) == pytest.approx(0.5)


def test_a_mixture_comes_to_trust_the_part_whose_served_scores_turned_out_right() -> None:
    mixture = WeighedMixture([Says(0.9), Says(0.2)], share=0.0)
    _, memory = mixture.serve(np.zeros(1))
    mixture.turned_out(memory, True)
    assert mixture.weights == pytest.approx([0.9 / 1.1, 0.2 / 1.1])
    assert mixture.probability(np.zeros(1)) == pytest.approx((0.81 + 0.04) / 1.1)


def test_calibration_turns_a_wrong_scale_into_the_base_rate_it_was_seen_to_have() -> None:
    calibrated = Calibrated(Says(0.9), min_labels=100)
    assert calibrated.probability(np.zeros(1)) == 0.9
    for k in range(2_000):
        calibrated.turned_out(calibrated.serve(np.zeros(1))[1], k % 4 == 0)
    assert calibrated.probability(np.zeros(1)) == pytest.approx(0.25, abs=0.01)


def test_boosting_is_fitted_on_the_last_labels_alone() -> None:
    seen: list[int] = []

    def fit(matrix: Vector, outcomes: Flags) -> Scores:
        seen.append(len(matrix))
        highest = float(matrix.max())
        return lambda rows: np.full(len(rows), highest / 10_000)

    model = RefittedBoosting(1, fit, window=800, every=700)
    for k in range(1_500):
        model.learn_vector(np.array([float(k)]), k % 2 == 0)
    assert seen == [500, 700, 800]
    assert model.probability(np.array([0.0])) == pytest.approx(0.1399)


def test_families_are_added_to_recency_and_left_out_of_all_and_what_is_no_feature_yet_is_only_added() -> None:
    names, families = ("r", "m", "g", "c"), ("recency", "money", "rhythm", "calendar")
    runs = {(v.family, v.how): v.features for v in variations(names, families, extra=("c",))}
    assert runs["recency", "alone"] == ("r",)
    assert runs["money", "added"] == ("r", "m")
    assert runs["calendar habits", "added"] == ("r", "c")
    assert runs["all", "all"] == ("r", "m", "g")
    assert runs["rhythm", "left out"] == ("r", "m")
    assert runs["calendar habits", "added to all"] == ("r", "m", "g", "c")
    assert ("calendar habits", "left out") not in runs


def test_memory_counts_the_buffers_of_arrays_once() -> None:
    buffer = np.zeros(10_000)
    assert 80_000 < bytes_of([buffer, buffer, {"again": buffer}]) < 81_000


@pytest.mark.parametrize("candidate", candidates({}), ids=lambda candidate: candidate.name)
def test_every_candidate_learns_and_serves_probabilities(candidate: Candidate) -> None:
    contender = candidate.make(FEATURES)
    run = prequential(small_shop(120), contender, min_labels=10)
    served = run.served[~np.isnan(run.served)]
    assert len(served)
    assert ((served >= 0.0) & (served <= 1.0)).all()
    assert bytes_of(contender) > 0


def test_candidates_have_names_of_their_own_and_the_champion_is_among_them() -> None:
    names = [one.name for one in candidates({"some trees": lambda matrix, outcomes: lambda rows: np.zeros(len(rows))})]
    assert len(set(names)) == len(names)
    assert CHAMPION in names
