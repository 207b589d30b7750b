"""Telling: what a profile's view has become, told as it steps on, and told anew after disorder changed its past."""

from __future__ import annotations

from collections.abc import Callable

from streams.core.causes import Cause, by_silence
from streams.core.decisions import Decider
from streams.core.fold import Fold, Moment
from streams.core.policy import Compiled
from streams.core.ports import ChurnScorer, Facts, Step
from streams.core.profile import Profile
from streams.core.rescoring import Rescoring
from streams.core.tally import CHURN, ERASED, PROPENSITY


class Teller:
    """Has the decider tell what is different, in the order in which it came about.

    Parameters
    ----------
    policy
        The compiled policy.
    fold
        Folds views anew.
    decider
        Makes the messages.
    """

    __slots__ = ("_decider", "_fold", "_policy")

    def __init__(self, policy: Compiled, fold: Fold, decider: Decider) -> None:
        self._policy = policy
        self._fold = fold
        self._decider = decider

    def tell(
        self, profile: Profile, cause: Cause, at: int, rule: str, opened: bool, model: ChurnScorer, step: Step
    ) -> None:
        """Tell what the view is now; ``opened`` says that an order was opened at this very instant."""
        decider = self._decider
        decider.begin(profile, cause, at)
        view, delivery = profile.view, profile.delivery
        if view.since >= 0 and (view.stage != delivery.stage or view.tier != delivery.tier):
            decider.segments(profile, cause, at, rule, step.outputs, step.facts)
        if opened:
            decider.risk.score(profile, cause, at, None, model, step.outputs, step.facts, scheduled=False)

    def moments(self, profile: Profile, model: ChurnScorer, step: Step) -> Callable[[Moment], None]:
        """What tells of each deadline while a view is advanced."""

        def told(moment: Moment) -> None:
            self._decider.moment(profile, moment, model, step.outputs, step.facts)

        return told

    def correct(self, profile: Profile, cause: Cause, clock: int, money: bool, model: ChurnScorer, step: Step) -> None:
        """Make the view anew after disorder, and tell what is different now.

        ``clock`` is the instant through which deadlines have fired; ``money`` says that the cause has lines.
        """
        facts, delivery = step.facts, profile.delivery
        facts.refolds += 1
        rescoring = Rescoring(self._policy, model, delivery.settled_band)
        profile.refold(self._fold, max(clock, profile.view.fired), rescoring)
        delivery.bands = rescoring.bands
        unserve(profile, facts)
        view = profile.view
        at = max(view.through, delivery.as_of)
        self.tell(profile, cause, at, "the order of events was corrected", False, model, step)
        self._score_missing(profile, rescoring, model, step)
        self._decider.propensity.corrected(profile, cause, at, model, step.outputs, facts)
        if view.since < 0:
            delivery = profile.delivery = delivery.ended(delivery.served, delivery.propensity_served)
            delivery.band = rescoring.band
        corrected = delivery.band != rescoring.band
        decider, outputs, last = self._decider, step.outputs, rescoring.last
        if last is not None and (corrected or (money and view.orders)):
            decider.risk.score(
                profile, cause, last.at, last.features, model, outputs, facts, scheduled=False, band=rescoring.band
            )
        elif view.orders and (corrected or money):
            walked = rescoring.band if corrected else None
            decider.risk.score(profile, cause, at, None, model, outputs, facts, scheduled=False, band=walked)
        elif corrected:
            # Whose orders were all taken back has no probability; the band goes back to what the log says.
            delivery.probability = delivery.explained = delivery.spend = delivery.clv = None
            decider.risk.banded(profile, cause, at, rescoring.band, outputs, facts)

    def _score_missing(self, profile: Profile, rescoring: Rescoring, model: ChurnScorer, step: Step) -> None:
        """Serve the scheduled scores that the corrected past has and the one before had not."""
        served = profile.delivery.served
        waiting = {observation.as_of for observation in profile.view.pending}
        for missing in [score for score in rescoring.scheduled if score.at in waiting and score.at not in served]:
            self._decider.risk.score(
                profile,
                by_silence(missing.at),
                missing.at,
                missing.features,
                model,
                step.outputs,
                step.facts,
                scheduled=True,
                band=missing.band,
            )


def unserve(profile: Profile, facts: Facts) -> None:
    """Let go of served scores whose observation is gone from the view."""
    for head, observations in ((CHURN, profile.view.pending), (PROPENSITY, profile.view.expected)):
        served = profile.delivery.served_of(head)
        waiting = {observation.as_of for observation in observations}
        for as_of in [as_of for as_of in served if as_of not in waiting]:
            del served[as_of]
            facts.tally(profile.user_id, head, ERASED)
