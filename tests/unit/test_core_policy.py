"""Reading a policy: what is refused, and what the fingerprint notices."""

from __future__ import annotations

from importlib.resources import files

import pytest

from streams.core.errors import PolicyError
from streams.core.policy import Policy, parse_policy

TEXT = files("streams.policies").joinpath("default.toml").read_text()


def changed(line: str, to: str) -> Policy:
    """The default policy with one line replaced."""
    assert TEXT.count(line) == 1
    return parse_policy(TEXT.replace(line, to), "mine.toml")


def test_the_default_policy_holds_together() -> None:
    assert parse_policy(TEXT, "default.toml").version == "default-1"


def test_equal_policies_have_equal_fingerprints() -> None:
    assert parse_policy(TEXT, "a").fingerprint == parse_policy(TEXT, "b").fingerprint


@pytest.mark.parametrize(
    ("line", "to"),
    [
        ('version = "default-1"', 'version = "default-2"'),
        ("forget_days = 730", "forget_days = 731"),
        ("monetary = [50.0,", "monetary = [50.5,"),
        ("[actions]", "[actions]\npeek = 'view'"),
    ],
)
def test_any_change_changes_the_fingerprint(line: str, to: str) -> None:
    assert changed(line, to).fingerprint != parse_policy(TEXT, "default.toml").fingerprint


def test_what_is_not_toml_is_refused_with_its_line() -> None:
    with pytest.raises(PolicyError, match=r"mine.toml is not valid TOML: .*line 6"):
        changed("[gap]", "[gap")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(PolicyError, match="mine.toml: .*shop_dayz"):
        changed("shop_days", "shop_dayz")


def test_a_missing_section_is_refused() -> None:
    start, end = TEXT.index("[value_tiers]"), TEXT.index("[risk_bands]")
    with pytest.raises(PolicyError, match="mine.toml: .*missing required field `value_tiers`"):
        parse_policy(TEXT[:start] + TEXT[end:], "mine.toml")


@pytest.mark.parametrize(
    ("line", "to"),
    [
        ("loyal_orders = 4", 'loyal_orders = "four"'),
        ("loyal_orders = 4", "loyal_orders = 4.5"),
        ("recency_days = [14, 45, 90, 180]", "recency_days = [14, 45, 90]"),
        ('version = "default-1"', "version = 1"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(line: str, to: str) -> None:
    with pytest.raises(PolicyError, match="mine.toml: Expected"):
        changed(line, to)


@pytest.mark.parametrize(
    ("line", "to", "rule"),
    [
        ("shop_days = 30.0", "shop_days = 0.0", "gap.shop_days"),
        ("at_risk_gaps = 2.0", "at_risk_gaps = 4.0", "stages.at_risk_gaps"),
        ("at_risk_floor_days = 7.0", "at_risk_floor_days = 21.0", "stages.at_risk_floor_days"),
        ("dormant_days = 90.0", "dormant_days = -1.0", "stages.dormant_days"),
        ("loyal_leave_orders = 3", "loyal_leave_orders = 5", "stages.loyal_leave_orders"),
        ("loyal_tenure_gaps = 6.0", "loyal_tenure_gaps = -0.1", "stages.loyal_tenure_gaps"),
        ("[14, 45, 90, 180]", "[14, 14, 90, 180]", "rfm.recency_days"),
        ("[2, 3, 6, 12]", "[0, 3, 6, 12]", "rfm.frequency_orders"),
        ("[50.0, 200.0, 600.0, 2000.0]", "[50.0, 20.0, 600.0, 2000.0]", "rfm.monetary"),
        ("platinum = 13", "platinum = 16", "value_tiers"),
        ("critical = 0.80", "critical = 1.0", "risk_bands"),
        ("hysteresis = 0.05", "hysteresis = 0.30", "risk_bands.hysteresis"),
        ("line_value = 50000.0", "line_value = 0.0", "limits.line_value"),
        ("future_minutes = 5.0", "future_minutes = -5.0", "limits.future_minutes"),
        ("scores_stop_days = 540", "scores_stop_days = 730", "limits.scores_stop_days"),
        ("scores_stop_days = 540", "scores_stop_days = 399", "limits.scores_stop_days"),
    ],
)
def test_limits_that_contradict_each_other_are_refused_by_name(line: str, to: str, rule: str) -> None:
    with pytest.raises(PolicyError, match=rule):
        changed(line, to)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("line", ["shop_days = 30.0", "dormant_days = 90.0", "line_value = 50000.0", "high = 0.60"])
def test_what_is_no_number_is_refused(line: str, value: str) -> None:
    with pytest.raises(PolicyError):
        changed(line, f"{line.split(' =')[0]} = {value}")
