"""Decisions: what a step of the view means for the world, as messages with ids that repeat.

The view is compared with what the world was last told; each difference is one message. So a correction after disorder
is an ordinary message, and a repeat after a crash has the id of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1
from typing import Any, Final

from streams.core.causes import Cause, by_silence
from streams.core.events import INPUT_TOPICS, Event
from streams.core.evidence import band_name, stage_evidence, tier_name, value_evidence
from streams.core.features import NAMES, vector
from streams.core.fold import Moment
from streams.core.hashing import output_id
from streams.core.instants import format_instant
from streams.core.policy import TIERS, Compiled, band_of
from streams.core.ports import ChurnScorer, Contribution, Facts, Output
from streams.core.profile import AFTER_EVENTS, Profile
from streams.core.reasons import MOST_REASONS, reasons
from streams.core.state import PHASES, STAGE_NAMES
from streams.core.stored_profile import Delivery, Served

SEGMENT_CHANGES: Final = "segment-changes"
CHURN_RISK: Final = "churn-risk"
LATE_EVENTS: Final = "late-events"
MOVED: Final = 0.05
"""A purchase is told as a new risk if it moves the probability by this much."""
MODEL_NAME: Final = "churn"
_RECENCY: Final = NAMES.index("recency_days")
_GAP: Final = NAMES.index("usual_gap_days")


def untold(delivery: Delivery, dimension: str, previous: str | None) -> bool:
    """Set what was last told of a stage or tier back to what it was before; whether that is kept for the dimension."""
    if dimension == "lifecycle":
        delivery.stage = -1 if previous is None else STAGE_NAMES.index(previous)
    elif dimension == "value_tier":
        delivery.tier = -1 if previous is None else TIERS.index(previous)
    else:
        return False
    return True


class Decider:
    """Turns steps of a view into messages.

    Parameters
    ----------
    policy, horizon_days
        As the engine has them.
    mode
        ``live`` under the wall clock, ``replay`` where the log decides alone.
    """

    __slots__ = ("horizon_days", "mode", "policy")

    def __init__(self, policy: Compiled, horizon_days: int, mode: str) -> None:
        self.policy = policy
        self.horizon_days = horizon_days
        self.mode = mode

    def _body(self, profile: Profile, as_of: int) -> dict[str, Any]:
        delivery = profile.delivery
        delivery.seq += 1
        return {
            "id": "",
            "user_id": profile.user_id,
            "as_of": format_instant(as_of),
            "seq": delivery.seq,
            "mode": self.mode,
        }

    def begin(self, profile: Profile, cause: Cause, at: int) -> None:
        """A new version of the portrait, whatever else is told of it."""
        delivery = profile.delivery
        delivery.seq += 1
        delivery.as_of = max(at, delivery.as_of)
        delivery.cause = cause.id

    def segments(self, profile: Profile, cause: Cause, at: int, rule: str, outputs: list[Output], facts: Facts) -> None:
        """Tell stage and tier where they differ from what was told."""
        view, delivery = profile.view, profile.delivery
        if view.stage != delivery.stage:
            previous = STAGE_NAMES[delivery.stage] if delivery.stage >= 0 else None
            delivery.stage = view.stage
            self._change(
                profile,
                cause,
                at,
                "lifecycle",
                previous,
                STAGE_NAMES[view.stage],
                view.since,
                rule,
                stage_evidence(profile.view, at, self.policy),
                outputs,
                facts,
            )
        if view.tier != delivery.tier:
            before = tier_name(delivery.tier)
            delivery.tier = view.tier
            self._change(
                profile,
                cause,
                at,
                "value_tier",
                before,
                tier_name(view.tier),
                at,
                "sum of R, F and M",
                value_evidence(profile.view, at),
                outputs,
                facts,
            )

    def _change(
        self,
        profile: Profile,
        cause: Cause,
        at: int,
        dimension: str,
        previous: str | None,
        current: str | None,
        since: int,
        rule: str,
        evidence: dict[str, Any],
        outputs: list[Output],
        facts: Facts,
        version: str = "",
    ) -> None:
        body = self._body(profile, at)
        body |= {
            "dimension": dimension,
            "previous": previous,
            "current": current,
            "phase": PHASES[profile.view.stage],
            "since": format_instant(since),
            "cause": cause.body(),
            "rule": rule,
            "policy_version": self.policy.version,
            "evidence": evidence,
        }
        key = output_id(profile.user_id, dimension, cause.id, str(previous), str(current), version)
        body["id"] = key
        outputs.append(Output(SEGMENT_CHANGES, key, profile.user_id, at, body))
        change = (dimension, previous or "none", current or "none")
        facts.transitions[change] = facts.transitions.get(change, 0) + 1

    # -- risk --------------------------------------------------------------------------------------------------------

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
        contributions: Sequence[Contribution] = ()
        if not cold:
            if features is None:
                features = vector(profile.view, at, self.policy)
            probability, contributions = cut.explained(features, MOST_REASONS)
        previous = delivery.band
        if band is None:
            band = previous if probability is None else band_of(probability, previous, self.policy)
            if band != previous:
                known = cause.event is not None and cause.event.ts == at
                place = cause.event.sort_key if cause.event is not None and known else (at, AFTER_EVENTS, "")
                delivery.bands.append((*place, band))
        if scheduled:
            delivery.served[at] = Served(probability, cut.version, cold)
            facts.opened += 1
        told = delivery.probability
        moved = probability is not None and (told is None or abs(probability - told) >= MOVED)
        if not (scheduled or delivery.scored_at < 0 or moved or band != previous):
            return
        label = "cold" if cold else band_name(band) or "none"
        facts.scores[label] = facts.scores.get(label, 0) + 1
        if stale:
            facts.scores["stale"] = facts.scores.get("stale", 0) + 1
        body = self._body(profile, at)
        body |= {
            "probability": probability,
            "horizon_days": self.horizon_days,
            "band": None if cold else band_name(band),
            "previous_band": band_name(previous),
            "scheduled": scheduled,
            "cold_start": cold,
            "stale_model": stale,
            "model": {"name": MODEL_NAME, "version": cut.version},
            "reasons": reasons(contributions, features) if features is not None else [],
        }
        if cold:
            # The simple rule customers are ranked by until there is a model: silence against the usual gap.
            if features is None:
                features = vector(profile.view, at, self.policy)
            body["rank_score"] = round(expm1(features[_RECENCY]) / (expm1(features[_GAP]) + 1), 6)
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
        band = band_of(delivery.probability, delivery.band, self.policy)
        if band != delivery.band:
            delivery.settled_band, delivery.bands = band, []
            self.banded(profile, cause, at, band, outputs, facts)

    def banded(self, profile: Profile, cause: Cause, at: int, band: int, outputs: list[Output], facts: Facts) -> None:
        """Tell another band."""
        delivery = profile.delivery
        previous, delivery.band = delivery.band, band
        evidence = {
            "probability": delivery.probability,
            "horizon_days": self.horizon_days,
            "model_version": delivery.version,
        }
        self._change(
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

    def moment(self, profile: Profile, moment: Moment, model: ChurnScorer, outputs: list[Output], facts: Facts) -> None:
        """Tell what one deadline of the view did."""
        cause = by_silence(moment.at)
        facts.deadlines_fired += 1
        view, delivery = profile.view, profile.delivery
        if moment.ended:
            # Nothing more is told but the end of the portrait; only the count of outputs goes on.
            served = {one.as_of: delivery.served[one.as_of] for one in view.pending if one.as_of in delivery.served}
            facts.erased += len(delivery.served) - len(served)
            if delivery.band >= 0:
                delivery.bands.append((moment.at, AFTER_EVENTS, "", -1))
            profile.delivery = delivery.ended(served)
            self.begin(profile, cause, moment.at)
            return
        # What leaves a window may change the portrait though nobody is told anything: a version of its own.
        self.begin(profile, cause, moment.at)
        if not moment.scheduled and view.stage == delivery.stage and view.tier == delivery.tier:
            return
        self.segments(profile, cause, moment.at, moment.rule, outputs, facts)
        if moment.scheduled:
            self.score(profile, cause, moment.at, moment.features, model, outputs, facts, scheduled=True)

    def late(self, profile: Profile, event: Event, watermark: int, event_body: dict[str, Any]) -> Output:
        """The copy of an event that came after its instant was settled."""
        body = self._body(profile, event.ts)
        body |= {
            "late_by_ms": watermark - event.ts,
            "watermark": format_instant(watermark),
            "event": event_body,
            "source": {"topic": INPUT_TOPICS[event.kind], "partition": event.partition, "offset": event.offset},
        }
        body["id"] = key = output_id(profile.user_id, LATE_EVENTS, event.id, "", "", "")
        return Output(LATE_EVENTS, key, profile.user_id, event.ts, body)
