"""Propensity: how likely somebody, customer or visitor, is to buy within days, told where it is new."""

from __future__ import annotations

from typing import Final

from streams.core.causes import Cause, by_silence
from streams.core.composing import Composer
from streams.core.events import DAY_MS
from streams.core.hashing import output_id
from streams.core.ports import ChurnScorer, Facts, HeadScorer, Output
from streams.core.profile import Profile
from streams.core.propensity_features import propensity_vector, unpacked
from streams.core.stored_profile import Served
from streams.core.tally import ERASED, OPENED, PROPENSITY

PURCHASE_PROPENSITY: Final = "purchase-propensity"
MOVED: Final = 0.05
"""What an event does to a propensity is told if it moves it by this much."""
KEPT_MS: Final = 30 * DAY_MS
"""What was told of somebody who never bought says nothing any more after so long."""


def propensity_of(profile: Profile, at: int) -> float | None:
    """The propensity as last told, as far as it still says something at an instant."""
    delivery = profile.delivery
    if not profile.view.orders and at - delivery.propensity_at > KEPT_MS:
        return None
    return delivery.propensity


class Propensity:
    """Scores everybody's propensity to buy and tells it.

    Parameters
    ----------
    composer
        Writes the messages.
    horizon_days
        How far it looks ahead.
    """

    __slots__ = ("_composer", "_horizon_days")

    def __init__(self, composer: Composer, horizon_days: int) -> None:
        self._composer = composer
        self._horizon_days = horizon_days

    def scheduled(
        self,
        profile: Profile,
        at: int,
        kept: bytes | None,
        model: ChurnScorer,
        outputs: list[Output],
        facts: Facts,
    ) -> None:
        """Take a scheduled score and tell it; ``kept`` has its features where it waits for its label.

        A score that disorder made up for is taken too, but told only if nothing later was.
        """
        scorer, version, stale = self._scorer(model, at)
        probability: float | None = None
        if scorer is not None:
            # What waits for its label is scored on what will be learned: the features as they are kept.
            features = self._features(profile, at) if kept is None else unpacked(kept)
            probability = scorer.probability(features)
        if kept is not None:
            profile.delivery.propensity_served[at] = Served(probability, version, scorer is None)
            facts.tally(profile.user_id, PROPENSITY, OPENED)
        if at > profile.delivery.propensity_at:
            self._tell(profile, by_silence(at), at, probability, version, stale, outputs, scheduled=True)

    def event(
        self, profile: Profile, cause: Cause, at: int, model: ChurnScorer, outputs: list[Output], facts: Facts
    ) -> None:
        """Score after an event, or after a correction, and tell it if it is the first or has moved."""
        scorer, version, stale = self._scorer(model, at)
        if scorer is None:
            return
        probability = scorer.probability(self._features(profile, at))
        told = propensity_of(profile, at)
        if told is None or abs(probability - told) >= MOVED:
            self._tell(profile, cause, at, probability, version, stale, outputs, scheduled=False)

    def corrected(
        self, profile: Profile, cause: Cause, at: int, model: ChurnScorer, outputs: list[Output], facts: Facts
    ) -> None:
        """After disorder: serve the waiting scores that the corrected past has and the one before had not."""
        view, served = profile.view, profile.delivery.propensity_served
        for observation in view.expected:
            if observation.as_of not in served:
                self.scheduled(profile, observation.as_of, observation.features, model, outputs, facts)
        if view.since >= 0:
            self.event(profile, cause, at, model, outputs, facts)

    def ended(self, profile: Profile, facts: Facts) -> dict[int, Served]:
        """What is left of a user that is forgotten: scores whose label is still to be told."""
        served = profile.delivery.propensity_served
        left = {one.as_of: served[one.as_of] for one in profile.view.expected if one.as_of in served}
        facts.tally(profile.user_id, PROPENSITY, ERASED, len(served) - len(left))
        return left

    @staticmethod
    def _scorer(model: ChurnScorer, at: int) -> tuple[HeadScorer | None, str, bool]:
        """What to score with, None while it is cold; the version of its cut, and whether that is stale."""
        cut, stale = model.cut_at(at)
        scorer = cut.propensity
        return (None if scorer is None or scorer.cold_start else scorer), cut.version, stale

    def _features(self, profile: Profile, at: int) -> list[float]:
        return propensity_vector(profile.view, at, self._composer.policy, self._horizon_days)

    def _tell(
        self,
        profile: Profile,
        cause: Cause,
        at: int,
        probability: float | None,
        version: str,
        stale: bool,
        outputs: list[Output],
        *,
        scheduled: bool,
    ) -> None:
        body = self._composer.body(profile, at)
        body |= {
            "probability": probability,
            "horizon_days": self._horizon_days,
            "scheduled": scheduled,
            "cold_start": probability is None,
            "stale_model": stale,
            "model": {"name": PROPENSITY, "version": version},
        }
        asked = "scheduled" if scheduled else "event"
        # Which records had come by then, the wall clock decides: what is said is part of the name.
        key = output_id(profile.user_id, PURCHASE_PROPENSITY, cause.id, f"{asked}:{at}", str(probability), version)
        body["id"] = key
        outputs.append(Output(PURCHASE_PROPENSITY, key, profile.user_id, at, body))
        delivery = profile.delivery
        delivery.propensity_at = at
        delivery.propensity_version = version
        delivery.propensity = probability
