"""Composing: what every message has in common, and the shape of a change of segment.

What is told of stages, risks, propensity and value each has a module of its own; all of them write their messages here.
"""

from __future__ import annotations

from typing import Any, Final

from streams.core.causes import Cause
from streams.core.hashing import output_id
from streams.core.instants import format_instant
from streams.core.policy import Compiled
from streams.core.ports import Facts, Output
from streams.core.profile import Profile
from streams.core.state import PHASES

SEGMENT_CHANGES: Final = "segment-changes"


class Composer:
    """Begins messages and writes changes of segment.

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

    def body(self, profile: Profile, as_of: int) -> dict[str, Any]:
        """What every message begins with; counts it in the user's ``seq``."""
        delivery = profile.delivery
        delivery.seq += 1
        return {
            "id": "",
            "user_id": profile.user_id,
            "as_of": format_instant(as_of),
            "seq": delivery.seq,
            "mode": self.mode,
        }

    def change(
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
        """Tell that a user moved within a dimension, and on what figures; ``version`` is of the model that said so."""
        body = self.body(profile, at)
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
