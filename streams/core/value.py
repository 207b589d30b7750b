"""Customer value: what a customer is expected to spend within the horizon and within a year, told where it is new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from streams.core.causes import Cause
from streams.core.composing import Composer
from streams.core.events import MICRO
from streams.core.hashing import output_id
from streams.core.ports import Cut, Output, SpendScorer
from streams.core.profile import Profile

CUSTOMER_VALUE: Final = "customer-value"
MODEL_NAME: Final = "value"
MOVED: Final = 0.1
"""An order is told as a new value if it moves the expected spend by this share of it."""
YEAR_DAYS: Final = 365
_DIGITS: Final = 6
"""Money is told in millionths, as it is reckoned."""


class Value:
    """Tells what customers are worth, beside each score of their risk and from its features.

    Parameters
    ----------
    composer
        Writes the messages.
    """

    __slots__ = ("_composer",)

    def __init__(self, composer: Composer) -> None:
        self._composer = composer

    def tell(
        self,
        profile: Profile,
        cause: Cause,
        at: int,
        features: Sequence[float] | None,
        probability: float | None,
        cut: Cut,
        stale: bool,
        outputs: list[Output],
        *,
        scheduled: bool,
    ) -> None:
        """Tell a customer's value if that is due: on schedule, the first time, or where it has moved.

        Parameters
        ----------
        at
            The instant of the score of the risk.
        features, probability
            What the risk was scored on, and the probability of churn; None while that is cold.
        cut, stale
            The model it was scored with, and whether a newer one should have been there.
        """
        delivery, view = profile.delivery, profile.view
        scorer = cut.spend
        worth: _Worth | None = None
        if not (scorer is None or scorer.cold_start or features is None or probability is None):
            worth = _Worth(scorer, features, 1.0 - probability, view.amount, view.refunded)
        told = delivery.spend
        moved = worth is not None and (told is None or abs(worth.expected - told) >= max(MOVED * told, 1 / MICRO))
        if not (scheduled or delivery.spend_at < 0 or moved):
            return
        to_date = view.amount / MICRO
        body = self._composer.body(profile, at)
        body |= {
            "expected_spend": None if worth is None else worth.expected,
            "expected_net_spend": None if worth is None else worth.net,
            "p_purchase": None if worth is None else worth.p_purchase,
            "spend_if_purchase": None if worth is None else worth.if_purchase,
            "horizon_days": self._composer.horizon_days,
            "clv": None if worth is None else round(to_date + worth.net_year, _DIGITS),
            "net_spend_to_date": to_date,
            "expected_net_spend_365d": None if worth is None else worth.net_year,
            "scheduled": scheduled,
            "cold_start": worth is None,
            "stale_model": stale,
            "model": {"name": MODEL_NAME, "version": cut.version},
        }
        asked = "scheduled" if scheduled else "event"
        # Which records had come by then, the wall clock decides: what is said is part of the name.
        said = f"{body['expected_spend']}:{body['clv']}:{to_date}"
        body["id"] = key = output_id(profile.user_id, CUSTOMER_VALUE, cause.id, f"{asked}:{at}", said, cut.version)
        outputs.append(Output(CUSTOMER_VALUE, key, profile.user_id, at, body))
        delivery.spend_at = at
        delivery.spend_version = cut.version
        delivery.spend = body["expected_spend"]
        delivery.clv = body["clv"]


class _Worth:
    """The figures of one score, in the shop's currency."""

    __slots__ = ("expected", "if_purchase", "net", "net_year", "p_purchase")

    def __init__(
        self, scorer: SpendScorer, features: Sequence[float], p_purchase: float, amount: int, refunded: int
    ) -> None:
        if_purchase = scorer.spend_if_purchase(features)
        kept = scorer.net_share((amount + refunded) / MICRO, refunded / MICRO)
        times = scorer.buying_horizons(features, p_purchase, YEAR_DAYS)
        self.p_purchase = p_purchase
        self.if_purchase = round(if_purchase, _DIGITS)
        self.expected = round(p_purchase * if_purchase, _DIGITS)
        self.net = round(p_purchase * if_purchase * kept, _DIGITS)
        self.net_year = round(times * if_purchase * kept, _DIGITS)
