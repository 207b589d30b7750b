"""Decisions: what a step of the view means for the world, as messages with ids that repeat.

The view is compared with what the world was last told; each difference is one message. So a correction after disorder
is an ordinary message, and a repeat after a crash has the id of the first.
"""

from __future__ import annotations

from typing import Any, Final

from streams.core.causes import Cause, by_silence
from streams.core.composing import Composer
from streams.core.events import INPUT_TOPICS, Event
from streams.core.evidence import stage_evidence, tier_name, value_evidence
from streams.core.fold import Moment
from streams.core.hashing import output_id
from streams.core.instants import format_instant
from streams.core.policy import TIERS, Compiled
from streams.core.ports import ChurnScorer, Facts, Output
from streams.core.profile import AFTER_EVENTS, Profile
from streams.core.propensity import Propensity
from streams.core.risk import Risk
from streams.core.state import STAGE_NAMES
from streams.core.stored_profile import Delivery
from streams.core.tally import CHURN, ERASED

LATE_EVENTS: Final = "late-events"


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
    policy, horizon_days, propensity_days
        As the engine has them.
    mode
        ``live`` under the wall clock, ``replay`` where the log decides alone.
    """

    __slots__ = ("_composer", "_policy", "propensity", "risk")

    def __init__(self, policy: Compiled, horizon_days: int, propensity_days: int, mode: str) -> None:
        self._policy = policy
        self._composer = Composer(policy, horizon_days, mode)
        self.risk = Risk(self._composer)
        self.propensity = Propensity(self._composer, propensity_days)

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
            self._composer.change(
                profile,
                cause,
                at,
                "lifecycle",
                previous,
                STAGE_NAMES[view.stage],
                view.since,
                rule,
                stage_evidence(profile.view, at, self._policy),
                outputs,
                facts,
            )
        if view.tier != delivery.tier:
            before = tier_name(delivery.tier)
            delivery.tier = view.tier
            self._composer.change(
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

    def moment(self, profile: Profile, moment: Moment, model: ChurnScorer, outputs: list[Output], facts: Facts) -> None:
        """Tell what one deadline of the view did."""
        cause = by_silence(moment.at)
        facts.deadlines_fired += 1
        view, delivery = profile.view, profile.delivery
        if moment.ended:
            # Nothing more is told but the end of the portrait; only the count of outputs goes on.
            served = {one.as_of: delivery.served[one.as_of] for one in view.pending if one.as_of in delivery.served}
            facts.tally(profile.user_id, CHURN, ERASED, len(delivery.served) - len(served))
            if delivery.band >= 0:
                delivery.bands.append((moment.at, AFTER_EVENTS, "", -1))
            profile.delivery = delivery.ended(served, self.propensity.ended(profile, facts))
            self.begin(profile, cause, moment.at)
            return
        # What leaves a window may change the portrait though nobody is told anything: a version of its own.
        self.begin(profile, cause, moment.at)
        if moment.scheduled or view.stage != delivery.stage or view.tier != delivery.tier:
            self.segments(profile, cause, moment.at, moment.rule, outputs, facts)
        if moment.scheduled:
            self.risk.score(profile, cause, moment.at, moment.features, model, outputs, facts, scheduled=True)
        if moment.propensity:
            self.propensity.scheduled(profile, moment.at, moment.kept, model, outputs, facts)

    def late(self, profile: Profile, event: Event, watermark: int, event_body: dict[str, Any]) -> Output:
        """The copy of an event that came after its instant was settled."""
        body = self._composer.body(profile, event.ts)
        body |= {
            "late_by_ms": watermark - event.ts,
            "watermark": format_instant(watermark),
            "event": event_body,
            "source": {"topic": INPUT_TOPICS[event.kind], "partition": event.partition, "offset": event.offset},
        }
        body["id"] = key = output_id(profile.user_id, LATE_EVENTS, event.id, "", "", "")
        return Output(LATE_EVENTS, key, profile.user_id, event.ts, body)
