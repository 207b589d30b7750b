"""Reasons: families add up to the logit, and are told in words that fit their sign. Worked by hand."""

from __future__ import annotations

import re
import struct
from math import log, log1p
from typing import Any

import msgspec
import pytest

from models.linear_scorer import LinearScorer
from streams.core.families import FAMILIES, MEMBERS, TITLES
from streams.core.features import CATALOGUE, NAMES
from streams.core.phrases import SAYINGS, SPANS, SPEAKERS, VOICE_OF
from streams.core.reasons import LEAVE_MORE, Told, changed, families, reasons
from streams.core.stored_profile import Explained
from streams.core.told_facts import FACTS

AVERAGE = {
    "recency_days": 20.0,
    "silence_days": 10.0,
    "second_recency_days": 40.0,
    "recency_share": 0.25,
    "tenure_days": 150.0,
    "orders": 6.0,
    "purchase_days": 5.0,
    "order_rate": 1.2,
    "usual_gap_days": 15.0,
    "mean_gap_days": 16.0,
    "longest_gap_days": 40.0,
    "last_gap_days": 15.0,
    "no_rhythm": 0.3,
    "one_time": 0.2,
    "orders_30d": 2.0,
    "orders_90d": 4.0,
    "orders_365d": 6.0,
    "net_spend_90d": 85.0,
    "lines_per_order": 15.0,
    "refund_share": 0.03,
    "clicks_30d": 14.0,
    "searches_30d": 0.2,
    "browses": 1.0,
    "interests": 5.0,
    "active_days": 20.0,
}
USUAL = {"no_rhythm": 0.0, "one_time": 0.0, "browses": 1.0}
"""Flags of a customer with a rhythm, whatever the average of them."""


def vector(**natural: float) -> list[float]:
    """A vector with these values in their own units, and else those of the average customer."""
    values = {**AVERAGE, **natural}
    return [
        log1p(values.get(feature.name, 0.0)) if feature.log else values.get(feature.name, 0.0) for feature in CATALOGUE
    ]


def scorer(intercept: float = 0.0, **weights: float) -> LinearScorer:
    """A model with these weights per standard deviation, all of which are 1, and a clip far out."""
    size = len(NAMES)
    return LinearScorer(
        False, vector(), [1.0] * size, [weights.get(name, 0.0) for name in NAMES], intercept, clip=1_000.0
    )


def told(model: LinearScorer, *version: str, **natural: float) -> Told:
    features = vector(**{**USUAL, **natural})
    return Told.of(0, version[0] if version else "v", model.explained(features, VOICE_OF), features)


def texts(model: LinearScorer, **natural: float) -> dict[str, str]:
    return {reason["family"]: reason["text"] for reason in reasons(told(model, **natural))}


def only(model: LinearScorer, **natural: float) -> str:
    (text,) = texts(model, **natural).values()
    return text


# -- the catalogue -----------------------------------------------------------------------------------------------------


def test_every_feature_belongs_to_one_family() -> None:
    assert sorted(index for members in MEMBERS for index in members) == list(range(len(NAMES)))


def test_every_feature_is_told_by_one_of_its_own_family() -> None:
    for (begin, end), members in zip(SPANS, MEMBERS, strict=True):
        assert all(begin <= VOICE_OF[index] < end for index in members)


def test_every_feature_has_a_saying_or_kin_that_has() -> None:
    assert [NAMES[speaker] for speaker in SPEAKERS if speaker not in SAYINGS] == []


def test_every_family_has_a_title_and_a_saying() -> None:
    assert len(TITLES) == len(FAMILIES) == len(SPANS)
    assert all(any(SPEAKERS[voice] in SAYINGS for voice in range(*span)) for span in SPANS)


# -- sums --------------------------------------------------------------------------------------------------------------


def test_a_family_is_the_sum_of_its_features_and_the_base_is_the_average_customer() -> None:
    model = scorer(0.3, recency_days=2.0, silence_days=-1.0, orders=-0.5)
    score = told(model, recency_days=47.0, silence_days=47.0, orders=2.0)
    recency = 2.0 * (log1p(47.0) - log1p(20.0)) - 1.0 * (log1p(47.0) - log1p(10.0))
    frequency = -0.5 * (log1p(2.0) - log1p(6.0))
    found = families(score.sums)
    assert score.base == 0.3
    assert found["recency"] == pytest.approx(recency, abs=1e-12)
    assert found["frequency"] == pytest.approx(frequency, abs=1e-12)
    logit = log(score.probability / (1.0 - score.probability))
    assert score.base + sum(found.values()) == pytest.approx(logit, abs=1e-9)


def test_families_are_ranked_by_their_sums_not_by_a_single_feature() -> None:
    """Recency has the largest single feature, and its neighbour takes all of it back."""
    model = scorer(recency_days=3.0, silence_days=-3.0, orders_90d=-0.5, net_spend_90d=-0.2)
    both = {"recency_days": 47.0, "silence_days": 10.0 + (48.0 / 21.0 - 1.0) * 11.0}
    found = reasons(told(model, **both, orders_90d=1.0, net_spend_90d=12.4))
    assert [reason["family"] for reason in found][:2] == ["windows", "money"]


def test_what_lowers_the_risk_is_no_reason() -> None:
    assert reasons(told(scorer(recency_days=1.0), recency_days=2.0)) == []


def test_no_more_than_three_families_are_named_highest_first() -> None:
    model = scorer(recency_days=1.0, orders=-2.0, usual_gap_days=3.0, net_spend_90d=-4.0, refund_share=50.0)
    away = {"recency_days": 40.0, "orders": 3.0, "usual_gap_days": 30.0, "net_spend_90d": 40.0, "refund_share": 0.5}
    found = reasons(told(model, **away))
    assert [reason["family"] for reason in found] == ["basket", "money", "rhythm"]
    assert [reason["contribution"] for reason in found] == sorted((r["contribution"] for r in found), reverse=True)


def test_a_reason_has_the_value_of_its_feature_and_the_usual_one_in_their_unit() -> None:
    (reason,) = reasons(told(scorer(recency_days=1.0), recency_days=47.0))
    assert (reason["feature"], reason["value"], reason["usual"]) == ("recency_days", 47.0, 20.0)


# -- words -------------------------------------------------------------------------------------------------------------


def test_silence_against_the_own_rhythm() -> None:
    assert only(scorer(overdue=1.0), overdue=1.3, recency_days=47.0, usual_gap_days=12.0) == (
        "no order for 47 days; usually every 12 days"
    )


def test_silence_of_somebody_without_a_rhythm_is_held_against_the_shops() -> None:
    assert only(scorer(overdue=1.0), overdue=1.3, recency_days=47.0, usual_gap_days=30.0, no_rhythm=1.0) == (
        "no order for 47 days; customers here usually order every 30 days"
    )


def test_hinges_of_a_feature_speak_through_it() -> None:
    assert only(scorer(overdue_over_100pct=1.0), overdue_over_100pct=1.3, recency_days=47.0, usual_gap_days=12.0) == (
        "no order for 47 days; usually every 12 days"
    )


@pytest.mark.parametrize(
    ("name", "value", "weight", "wanted"),
    [
        ("recency_days", 47.0, 1.0, "last order 47 days ago; the average customer's 20 days ago"),
        ("orders", 2.0, -1.0, "2 orders in all; the average customer 6"),
        ("orders_90d", 1.0, -1.0, "1 order in 90 days; the average customer 4"),
        ("orders_90d", 0.0, -1.0, "no orders in 90 days; the average customer 4"),
        ("net_spend_90d", 12.4, -1.0, "spent 12.40 in 90 days; the average customer 85"),
        ("net_spend_90d", 0.0, -1.0, "spent nothing in 90 days; the average customer 85"),
        ("refund_share", 0.5, 1.0, "50% of the spend was returned; the average customer returned 3%"),
        ("clicks_30d", 1.0, -1.0, "1 click in 30 days; the average customer 14"),
        ("searches_30d", 0.0, -1.0, "no searches in 30 days"),
        ("active_days", 1.0, -1.0, "seen on 1 day in all; the average customer on 20"),
        ("interests", 1.0, -1.0, "interested in 1 category; the average customer in 5"),
        ("lines_per_order", 1.0, -1.0, "1 item per order; the average customer 15"),
        ("tenure_days", 0.5, -1.0, "first order 12 hours ago; the average customer's 150 days ago"),
        ("usual_gap_days", 60.0, 1.0, "usually orders every 60 days; the average customer every 15 days"),
    ],
)
def test_the_words_for_one_feature(name: str, value: float, weight: float, wanted: str) -> None:
    assert only(scorer(**{name: weight}), **{name: value}) == wanted


def test_one_time_buyers() -> None:
    once = {"orders": 1.0, "purchase_days": 1.0, "one_time": 1.0, "no_rhythm": 1.0, "recency_days": 47.0}
    assert only(scorer(one_time=1.0), **once) == "has ordered only once"
    assert only(scorer(no_rhythm=1.0), **once) == "has ordered only once, 47 days ago"


def test_several_orders_on_one_day_are_not_one_order() -> None:
    same_day = {"orders": 3.0, "purchase_days": 1.0, "one_time": 1.0, "no_rhythm": 1.0}
    assert only(scorer(one_time=1.0), **same_day) == "has ordered on one day only"


def test_a_one_time_buyer_has_no_gaps_to_speak_of() -> None:
    once = {"orders": 1.0, "purchase_days": 1.0, "no_rhythm": 1.0, "recency_days": 5.0}
    assert (
        only(scorer(mean_gap_days=1.0), **once, mean_gap_days=30.0)
        == "has ordered only once, 5 days ago: " + LEAVE_MORE
    )


def test_what_speaks_against_leaving_is_never_told_as_its_reason() -> None:
    """The model learned that a recent order goes with leaving: so it is told, and not turned round."""
    assert only(scorer(recency_days=-1.0), recency_days=5.0) == (
        "last order 5 days ago; the average customer's 20 days ago: such customers leave more often"
    )


def test_a_reason_is_told_of_a_feature_that_itself_raises_the_risk() -> None:
    model = scorer(recency_days=-1.0, silence_days=-0.1, recency_share=0.1)
    assert only(model, recency_days=5.0, silence_days=40.0, recency_share=0.1).endswith(LEAVE_MORE)


# -- what changed ------------------------------------------------------------------------------------------------------


def since(model: LinearScorer, before: dict[str, float], now: dict[str, float], newer: str = "v") -> dict[str, Any]:
    found = changed(told(model, newer, **now), told(model, **before).kept())
    assert found is not None
    return found


def test_the_first_score_has_nothing_to_be_different_from() -> None:
    assert changed(told(scorer()), None) is None


def test_changes_add_up_to_that_of_the_logit() -> None:
    model = scorer(0.3, recency_days=1.0, orders=-0.7, overdue=0.4, net_spend_90d=-0.5, clicks_30d=-0.3)
    last = told(model, recency_days=40.0, overdue=0.5)
    score = told(scorer(0.1, recency_days=1.1, clicks_30d=-0.2), "w", recency_days=47.0, overdue=0.7, clicks_30d=1.0)
    found = changed(score, last.kept())
    assert found is not None
    moved = found["base"] + sum(one["change"] for one in found["by"]) + found["others"]
    logits = [log(one.probability / (1.0 - one.probability)) for one in (last, score)]
    assert moved == pytest.approx(logits[1] - logits[0], abs=1e-9)
    assert (found["since"], found["probability"]) == ("1970-01-01T00:00:00.000Z", last.probability)
    assert found["model_changed"] is True


def test_three_families_that_moved_most_come_largest_first() -> None:
    model = scorer(recency_days=1.0, orders=-2.0, net_spend_90d=-3.0, refund_share=0.1)
    found = since(model, {}, {"recency_days": 40.0, "orders": 7.0, "net_spend_90d": 40.0, "refund_share": 0.5})
    assert [one["family"] for one in found["by"]] == ["money", "recency", "frequency"]


@pytest.mark.parametrize(
    ("weights", "before", "now", "wanted"),
    [
        (
            {"recency_days": 1.0},
            {"recency_days": 40.0},
            {"recency_days": 47.0},
            "last order 47 days ago; 40 days ago at the last score",
        ),
        ({"orders": -1.0}, {"orders": 2.0}, {"orders": 3.0}, "3 orders in all; 2 at the last score"),
        (
            {"net_spend_90d": -1.0},
            {"net_spend_90d": 85.0},
            {"net_spend_90d": 12.4},
            "spent 12.40 in 90 days; 85 at the last score",
        ),
        (
            {"overdue": 1.0},
            {"overdue": 1.0, "recency_days": 40.0, "usual_gap_days": 12.0},
            {"overdue": 1.2, "recency_days": 47.0, "usual_gap_days": 12.0},
            "last order 47 days ago, usually every 12 days; 40 days ago at the last score",
        ),
    ],
)
def test_the_words_for_a_change(
    weights: dict[str, float], before: dict[str, float], now: dict[str, float], wanted: str
) -> None:
    (change,) = since(scorer(**weights), before, now)["by"]
    assert change["text"] == wanted


def test_a_change_that_the_model_counts_the_other_way_is_told_so() -> None:
    (change,) = since(scorer(recency_days=-1.0), {"recency_days": 40.0}, {"recency_days": 47.0})["by"]
    assert change["text"] == "last order 47 days ago; 40 days ago at the last score: here that lowers the risk"


def test_where_nothing_moved_but_the_model_it_says_so() -> None:
    before, score = (
        told(scorer(recency_days=1.0), recency_days=40.0),
        told(scorer(recency_days=2.0), "w", recency_days=40.0),
    )
    found = changed(score, before.kept())
    assert found is not None
    assert [one["text"] for one in found["by"]] == ["time since the last order: weighed anew by a newer model"]


def test_a_family_that_is_new_since_then_had_no_part() -> None:
    score = told(scorer(clicks_30d=-1.0), clicks_30d=1.0)
    kept = score.kept()
    older = Explained.of(0, kept.probability, "v", kept.logit()[:-1], kept.facts())
    found = changed(score, older)
    assert found is not None
    assert [(one["family"], one["change"]) for one in found["by"]] == [("browse", score.sums[-1])]


def test_values_that_an_older_profile_did_not_keep_are_left_out() -> None:
    kept = told(scorer(), recency_days=40.0).kept()
    older = Explained.of(0, kept.probability, "v", kept.logit(), kept.facts()[:3])
    found = changed(told(scorer(recency_days=1.0, tenure_days=1.0), recency_days=47.0, tenure_days=200.0), older)
    assert found is not None
    assert len(found["by"]) == 2


def test_what_a_profile_keeps_is_in_the_catalogue_once() -> None:
    assert len(set(FACTS)) == len(FACTS)
    assert set(FACTS) <= set(NAMES)


def test_no_text_names_a_column() -> None:
    for saying in SAYINGS.values():
        text = saying.plain(vector(**USUAL), vector()) or ""
        assert not re.search(r"[a-z]_[a-z]", text)


@pytest.mark.parametrize(
    "broken",
    [
        {"parts": b""},
        {"parts": b"1234567"},
        {"values": b"123"},
        {"as_of": 1 << 60},
        {"parts": struct.pack("<d", float("nan"))},
        {"values": struct.pack("<f", 1e30)},
    ],
)
def test_what_no_score_can_have_been_does_not_hold_together(broken: dict[str, Any]) -> None:
    kept = told(scorer()).kept()
    assert kept.holds_together()
    assert not msgspec.structs.replace(kept, **broken).holds_together()
