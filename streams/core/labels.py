"""Labels: what a scheduled score turns into once the watermark has passed its horizon."""

from __future__ import annotations

from streams.core.evidence import tier_name
from streams.core.features import completed
from streams.core.hashing import output_id
from streams.core.ports import Example
from streams.core.profile import Profile
from streams.core.schedule import propensity_spaced, spaced
from streams.core.state import STAGE_NAMES, Observation
from streams.core.stored_profile import Served
from streams.core.tally import CHURN


def labelled(profile: Profile, head: str, observation: Observation, served: Served) -> Example:
    """The training example of an observation whose label is decided.

    Bought means: an accepted line with a positive quantity in (as_of, as_of + H]; churned is the opposite. The example
    says what was served, so the scorecard judges the score as consumers saw it; its features are those of the settled
    state as of the score.
    """
    churn = head == CHURN
    kind = ("example",) if churn else ("example", head)
    kept = observation.features
    apart = spaced if churn else propensity_spaced
    return Example(
        id=output_id(profile.user_id, *kind, str(observation.as_of)),
        user_id=profile.user_id,
        user_hash=profile.user_hash,
        as_of_ms=observation.as_of,
        label_ms=observation.due,
        outcome=observation.returned != churn,
        probability=served.probability,
        model_version=served.version,
        cold_start=served.cold_start,
        stage=STAGE_NAMES[observation.stage],
        tier=tier_name(observation.tier),
        features=completed(kept) if churn and kept is not None else kept,
        head=head,
        spend=observation.spend if observation.spend >= 0 else None,
        spaced=apart(profile.user_hash, observation.as_of, observation.due - observation.as_of),
    )
