"""RFM, value tiers and risk bands at their cut points."""

from __future__ import annotations

import pytest

from streams.core.events import DAY_MS
from tests.support.partition_runs import PartitionRun
from tests.support.scorers import FixedScorer
from tests.support.worlds import START, click, purchase, refund


def rfm_after(days: int, orders: int, price: float) -> str:
    """R, F and M of equal orders on one day, so many days (less a millisecond of the next) ago."""
    run = PartitionRun()
    run.feed([purchase(START, price=price, order=f"o{number}") for number in range(orders)])
    run.close(START + days * DAY_MS)
    return f"{run.state('u').rfm:03d}"


@pytest.mark.parametrize(
    ("days", "digit"), [(0, 5), (14, 5), (15, 4), (45, 4), (46, 3), (90, 3), (91, 2), (180, 2), (181, 1)]
)
def test_recency_falls_the_day_after_each_cut_point(days: int, digit: int) -> None:
    assert rfm_after(days, 1, 1.0)[0] == str(digit)


def test_recency_falls_at_the_millisecond() -> None:
    run = PartitionRun()
    run.feed([purchase(START + 7)])
    run.close(START + 7 + 15 * DAY_MS - 1)
    assert run.state("u").rfm // 100 == 5
    run.close(START + 7 + 15 * DAY_MS)
    assert run.state("u").rfm // 100 == 4


@pytest.mark.parametrize(("orders", "digit"), [(1, 1), (2, 2), (3, 3), (5, 3), (6, 4), (11, 4), (12, 5), (40, 5)])
def test_frequency_rises_at_each_cut_point(orders: int, digit: int) -> None:
    assert rfm_after(0, orders, 0.0)[1] == str(digit)


@pytest.mark.parametrize(
    ("price", "digit"), [(0, 1), (49.999999, 1), (50, 2), (199.99, 2), (200, 3), (600, 4), (1999.999999, 4), (2000, 5)]
)
def test_monetary_value_rises_at_each_cut_point(price: float, digit: int) -> None:
    assert rfm_after(0, 1, price)[2] == str(digit)


def test_refunds_lower_the_monetary_value() -> None:
    run = PartitionRun()
    run.feed([purchase(START, price=60.0), refund(START + 1, price=20.0)])
    run.close(START + 1)
    assert run.state("u").rfm % 10 == 1


def test_orders_leave_frequency_and_money_after_365_days() -> None:
    run = PartitionRun()
    run.feed([purchase(START, price=600.0), purchase(START + DAY_MS), purchase(START + 100 * DAY_MS)])
    run.close(START + 365 * DAY_MS - 1)
    assert run.state("u").rfm == 134
    run.close(START + 365 * DAY_MS)
    assert run.state("u").rfm == 121


@pytest.mark.parametrize(
    ("orders", "price", "tier"),
    [
        (1, 0.0, "silver"),  # 5 1 1
        (2, 0.0, "silver"),  # 5 2 1
        (3, 50.0, "gold"),  # 5 3 2 (150.00)
        (6, 500.0, "platinum"),  # 5 4 5
        (3, 600.0, "gold"),  # 5 3 4
    ],
)
def test_the_tier_is_the_sum_of_r_f_and_m(orders: int, price: float, tier: str) -> None:
    run = PartitionRun()
    run.feed([purchase(START, price=price, order=f"o{number}") for number in range(orders)])
    assert run.told(dimension="value_tier")[-1].body["current"] == tier


def test_silence_alone_lowers_the_tier() -> None:
    run = PartitionRun()
    run.feed([purchase(START)])
    run.advance(START + 15 * DAY_MS - 1)
    assert [output.body["current"] for output in run.told(dimension="value_tier")] == ["silver"]
    run.advance(START + 15 * DAY_MS)
    assert [output.body["current"] for output in run.told(dimension="value_tier")] == ["silver", "bronze"]


def test_a_lower_tier_in_silence_names_its_deadline() -> None:
    run = PartitionRun()
    run.feed([purchase(START)])
    run.advance(START + 16 * DAY_MS)
    assert run.told(dimension="value_tier")[-1].body["cause"] == {
        "kind": "silence",
        "deadline": "2023-11-30T00:00:00.000Z",
    }


def test_who_never_bought_has_no_tier() -> None:
    run = PartitionRun()
    run.feed([click(START), refund(START + 1)])
    assert run.told(dimension="value_tier") == []


def test_an_outlier_leads_no_tier() -> None:
    run = PartitionRun()
    run.feed([purchase(START, price=77_183.60)])
    run.close(START)
    assert run.state("u").rfm == 511


# -- bands -------------------------------------------------------------------------------------------------------------


def bands_of(*probabilities: float | None) -> list[str | None]:
    """The band told after each of a week's scheduled scores."""
    run = PartitionRun()
    run.scorer = FixedScorer(probabilities[0])
    run.feed([purchase(START)])
    for week, probability in enumerate(probabilities[1:], 1):
        run.scorer = FixedScorer(probability)
        run.advance(START + week * 7 * DAY_MS)
    return [output.body["current"] for output in run.told(dimension="risk_band")]


@pytest.mark.parametrize(
    ("probability", "band"),
    [(0.0, "low"), (0.2999, "low"), (0.3, "medium"), (0.5999, "medium"), (0.6, "high"), (0.7999, "high"),
     (0.8, "critical"), (1.0, "critical")],
)  # fmt: skip
def test_a_first_band_begins_at_its_floor(probability: float, band: str) -> None:
    assert bands_of(probability) == [band]


@pytest.mark.parametrize(("floor", "band"), [(0.3, "medium"), (0.6, "high"), (0.8, "critical")])
def test_a_band_is_kept_within_the_hysteresis_below_its_floor(floor: float, band: str) -> None:
    assert bands_of(floor, floor - 0.049) == [band]


@pytest.mark.parametrize(
    ("floor", "bands"), [(0.3, ["medium", "low"]), (0.6, ["high", "medium"]), (0.8, ["critical", "high"])]
)
def test_a_band_is_left_below_the_hysteresis(floor: float, bands: list[str]) -> None:
    assert bands_of(floor, floor - 0.051) == bands


def test_a_fall_through_two_bands_lands_where_the_probability_is() -> None:
    assert bands_of(0.9, 0.1) == ["critical", "low"]


def test_a_band_rises_without_hysteresis() -> None:
    assert bands_of(0.59, 0.6) == ["medium", "high"]


def test_a_cold_start_has_no_band() -> None:
    assert bands_of(None) == []
