"""Reasons on real logs: every sum adds up, and every sentence, read back as a person reads it, fits its sign."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import log
from pathlib import Path
from typing import Any

import pytest

from tests.support.backfills import Ran, backfill
from tests.support.shared_logs import real_log

pytestmark = [pytest.mark.data, pytest.mark.long, pytest.mark.timeout(600)]

MORE = re.compile(
    r"last order (but one )?\d.* ago; |last order less than|last seen |silent for |usually orders every |orders every |"
    r"once stayed away for |.* between the last two orders; |.* of the spend was returned; "
)
"""What begins so is a reason where the customer's figure is the larger one."""
LESS = re.compile(
    r"seen on |ordered on |interested in |spent .* in \d+ days|.* orders per 30 days as a customer|.* in all; |"
    r"(\S+) (orders?|clicks?|search(es)?|days? with an? (order|visit)|active days?) in \d+ days|"
    r".* put into the cart in \d+ days"
)
EITHER = re.compile(
    r"first order |spends .* per order|the last order was worth |.* per order; |.* since the last order; |"
    r"looked around "
)
OWN = re.compile(
    r"no order for |has ordered (only once|on one day only|on 2 days only)|orders come further apart: |"
    r"orders at irregular intervals: |orders fall off: |spends less: |looks around less: |has never clicked or searched"
)
"""What holds the customer against their own past."""


def figure(text: str) -> float:
    """The first figure of a phrase, days where it is a time."""
    if "less than an hour" in text:
        return 0.0
    if re.search(r"\b(no|nothing)\b", text):
        return 0.0
    found = re.search(r"([\d,]+(?:\.\d+)?)(%| hours?)?", text)
    if found is None:
        assert "every day" in text, text
        return 1.0
    value = float(found[1].replace(",", ""))
    return value / 24.0 if "hour" in (found[2] or "") else value


@pytest.fixture(
    scope="module", params=[("online_retail_2011", 60, "2011-05-15"), ("complete_journey_dev", 30, "2017-03-20")]
)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    name, horizon_days, until = request.param
    folder: Path = tmp_path_factory.mktemp("reasons") / "out"
    return backfill([real_log(name)], folder, horizon_days=horizon_days, until=until)


def scores(ran: Ran) -> Iterator[dict[str, Any]]:
    return (body for body in ran.lines("churn-risk") if body["probability"] is not None)


def logit(probability: float) -> float:
    return log(probability / (1.0 - probability))


def test_base_and_families_and_changes_add_up_to_1e_9(ran: Ran) -> None:
    told: dict[str, float] = {}
    count = 0
    for body in scores(ran):
        now = logit(body["probability"])
        assert abs(body["base"] + sum(body["families"].values()) - now) < 1e-9
        changed, before = body["changed"], told.get(body["user_id"])
        assert (changed is None) == (before is None)
        if changed is not None and before is not None:
            moved = changed["base"] + sum(one["change"] for one in changed["by"]) + changed["others"]
            assert abs(moved - (now - before)) < 1e-9
        told[body["user_id"]] = now
        count += 1
    assert count > 3_000


def test_no_sentence_contradicts_its_sign(ran: Ran) -> None:
    kinds: Counter[str] = Counter()
    for body in scores(ran):
        for reason in body["reasons"]:
            text = reason["text"]
            assert reason["contribution"] > 0.0
            if text.endswith("such customers leave more often"):
                kinds["as learned"] += 1
            elif OWN.match(text):
                kinds["own past"] += 1
                if text.startswith("no order for ") and "usually every" in text:
                    silent, usual = text.split("; ")
                    assert figure(silent.removeprefix("no order")) >= figure(usual), text
            elif EITHER.match(text):
                kinds["either"] += 1
            else:
                fact, _, average = text.partition("; the average customer")
                side = 1.0 if MORE.match(text) else -1.0 if LESS.match(text) else 0.0
                assert side, text
                kinds["against the average"] += 1
                # Rounded for people, the two may be the same figure in another unit, never the other way round.
                assert not average or (figure(fact) - figure(average)) * side >= 0.0, text
    assert kinds["against the average"] > kinds["as learned"]
