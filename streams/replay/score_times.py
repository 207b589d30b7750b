"""``--score-at``: everybody scored at an instant somebody asks about, whatever the schedule."""

from __future__ import annotations

from streams.core.engine import PartitionEngine
from streams.core.events import DAY_MS
from streams.core.ports import ChurnScorer, Output


def scores_at(engine: PartitionEngine, at: int, look_back_days: int, model: ChurnScorer) -> list[Output]:
    """Churn risks of every user with a purchase in the look-back, as of an instant the engine has come to.

    Parameters
    ----------
    engine
        Its clock stands at the instant.
    at
        The instant, ms.
    look_back_days
        Customers whose last order is older are left out.
    model
        Hands out the cut to score with.
    """
    oldest = at - look_back_days * DAY_MS
    outputs: list[Output] = []
    for user_id in sorted(engine.users()):
        if engine.last_order(user_id) >= max(oldest, 0):
            outputs += engine.score_now(user_id, at, model)
    return outputs
