"""Churn risk: how likely a customer is to leave, told where it is new, and the band that it means."""

from __future__ import annotations

from math import expm1, log1p
from typing import Final

from streams.core.causes import Cause
from streams.core.composing import Composer
from streams.core.events import DAY_MS
from streams.core.evidence import band_name
from streams.core.feature_vector import vector
from streams.core.features import NAMES
from streams.core.hashing import output_id
from streams.core.phrases import VOICE_OF
from streams.core.policy import band_of
from streams.core.ports import ChurnScorer, Cut, Facts, Output
from streams.core.profile import AFTER_EVENTS, Profile
from streams.core.reasons import Told, changed, families, reasons
from streams.core.rhythm import gap_days
from streams.core.stored_profile import Served
from streams.core.tally import CHURN, OPENED
from streams.core.value import Value

CHURN_RISK: Final = "churn-risk"
MOVED: Final = 0.05
"""A purchase is told as a new risk if it moves the probability by this much."""
MODEL_NAME: Final = "churn"
_RECENCY: Final = NAMES.index("recency_days")
_GAP: Final = NAMES.index("usual_gap_days")


class Risk:
    """Scores customers and tells their risk and band; beside it, of the same features, their value.

    Parameters
    ----------
    composer
        Writes the messages.
    """

    __slots__ = ("_composer", "_horizon_days", "_policy", "_value")

    def __init__(self, composer: Composer) -> None:
        self._composer = composer
        self._policy = composer.policy
        self._horizon_days = composer.horizon_days
        self._value = Value(composer)

    def score(
        self,
        profile: Profile,
        cause: Cause,
        at: int,
        features: list[float] | None,
        model: ChurnScorer,
        outputs: list[Output],
        facts: Facts,
        *,
        scheduled: bool,
        band: int | None = None,
    ) -> None:
        """Score a customer as of an instant and tell it where DESIGN says so.

        ``band`` is the band after this score where it was walked already (:mod:`streams.core.rescoring`).
        """
        delivery = profile.delivery
        cut, stale = model.cut_at(at)
        cold = cut.cold_start
        probability: float | None = None
        made: Told | None = None
        if not cold:
            if features is None:
                features = vector(profile.view, at, self._policy)
            made = Told.of(at, cut.version, cut.explained(features, VOICE_OF), features)
            probability = made.probability
        previous = delivery.band
        if band is None:
            band = previous if probability is None else band_of(probability, previous, self._policy)
            if band != previous:
                known = cause.event is not None and cause.event.ts == at
                place = cause.event.sort_key if cause.event is not None and known else (at, AFTER_EVENTS, "")
                delivery.bands.append((*place, band))
        if scheduled:
            delivery.served[at] = Served(probability, cut.version, cold)
            facts.tally(profile.user_id, CHURN, OPENED)
        told = delivery.probability
        moved = probability is not None and (told is None or abs(probability - told) >= MOVED)
        if scheduled or delivery.scored_at < 0 or moved or band != previous:
            self._tell(profile, cause, at, features, made, band, cut, stale, outputs, facts, scheduled=scheduled)
        self._value.tell(profile, cause, at, features, probability, cut, stale, outputs, scheduled=scheduled)

    def _tell(
        self,
        profile: Profile,
        cause: Cause,
        at: int,
        features: list[float] | None,
        made: Told | None,
        band: int,
        cut: Cut,
        stale: bool,
        outputs: list[Output],
        facts: Facts,
        *,
        scheduled: bool,
    ) -> None:
        delivery = profile.delivery
        previous, cold = delivery.band, made is None
        probability = None if made is None else made.probability
        label = "cold" if cold else band_name(band) or "none"
        facts.scores[label] = facts.scores.get(label, 0) + 1
        if stale:
            facts.scores["stale"] = facts.scores.get("stale", 0) + 1
        body = self._composer.body(profile, at)
        body |= {
            "probability": probability,
            "horizon_days": self._horizon_days,
            "band": None if cold else band_name(band),
            "previous_band": band_name(previous),
            "scheduled": scheduled,
            "cold_start": cold,
            "stale_model": stale,
            "model": {"name": MODEL_NAME, "version": cut.version},
            "reasons": [],
            "base": None,
            "families": {},
            "changed": None,
        }
        if made is not None:
            body |= {
                "reasons": reasons(made),
                "base": made.base,
                "families": families(made.sums),
                "changed": changed(made, delivery.explained),
            }
            delivery.explained = made.kept()
        else:
            # The simple rule customers are ranked by until there is a model: silence against the usual gap.
            if features is None:
                # Nothing else of the vector is asked of who is scored cold.
                silence = log1p((at - profile.view.last_order) / DAY_MS)
                gap = log1p(gap_days(profile.view, self._policy))
            else:
                silence, gap = features[_RECENCY], features[_GAP]
            body["rank_score"] = round(expm1(silence) / (expm1(gap) + 1), 6)
        asked = "scheduled" if scheduled else "event"
        # Which records had come by then, the wall clock decides: what is said is part of the name.
        said = f"{probability}:{band_name(previous)}:{band_name(band)}"
        key = output_id(profile.user_id, CHURN_RISK, cause.id, f"{asked}:{at}", said, cut.version)
        body["id"] = key
        outputs.append(Output(CHURN_RISK, key, profile.user_id, at, body))
        delivery.scored_at = at
        delivery.version = cut.version
        if probability is not None:
            delivery.probability = probability
        if band != previous:
            self.banded(profile, cause, at, band, outputs, facts)

    def rebanded(self, profile: Profile, cause: Cause, at: int, outputs: list[Output], facts: Facts) -> None:
        """Tell the band that the last probability means under a new policy, if it is another one."""
        delivery = profile.delivery
        if delivery.probability is None:
            return
        band = band_of(delivery.probability, delivery.band, self._policy)
        if band != delivery.band:
            delivery.settled_band, delivery.bands = band, []
            self.banded(profile, cause, at, band, outputs, facts)

    def banded(self, profile: Profile, cause: Cause, at: int, band: int, outputs: list[Output], facts: Facts) -> None:
        """Tell another band."""
        delivery = profile.delivery
        previous, delivery.band = delivery.band, band
        evidence = {
            "probability": delivery.probability,
            "horizon_days": self._horizon_days,
            "model_version": delivery.version,
        }
        self._composer.change(
            profile,
            cause,
            at,
            "risk_band",
            band_name(previous),
            band_name(band),
            at,
            "probability of churn",
            evidence,
            outputs,
            facts,
            delivery.version,
        )
