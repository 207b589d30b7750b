"""What is remembered of one user: the fold of their events, and nothing else.

A :class:`State` is a function of the user's events and the policy alone. It is stored twice per profile, as *settled*
bytes and, while decoded, as the *view* (see :mod:`streams.core.profile`). Everything in it is an integer, a string or
bytes, so equal states have equal bytes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

NO_TIME: Final = -1
"""The instant of something that has not happened."""
FAR: Final = 1 << 62
"""An instant that never comes."""

# Columns of a day tile and of an hour tile. Amounts are net millionths.
DAY, CLICKS, SEARCHES, CARTS, ORDERS, AMOUNT = range(6)

MAX_PURCHASE_DAYS: Final = 13
MAX_ORDERS: Final = 32
MAX_IDS: Final = 32
IDS_HORIZON_MS: Final = 86_400_000
"""An event_id is remembered while its event is open, then for a day among its user's last 32."""


class Stage(IntEnum):
    """Life-cycle stages (DESIGN, *Stages, tiers, risk*)."""

    VISITOR = 0
    ACTIVATED = 1
    NEW_CUSTOMER = 2
    GROWING = 3
    REACTIVATED = 4
    LOYAL = 5
    AT_RISK = 6
    CHURNED = 7
    DORMANT = 8


STAGE_NAMES: Final = tuple(stage.name.lower() for stage in Stage)
PHASES: Final = (
    "acquisition",
    "activation",
    "activation",
    "growth",
    "growth",
    "maturity",
    "churn",
    "churn",
    "churn",
)
"""The phase of each stage, by its number."""

SEARCHED: Final = 1
CLICKED: Final = 2


class Observation(msgspec.Struct, array_like=True, gc=False):
    """A score waiting for its label: whether its user buys, and for how much, in (as_of, due]."""

    as_of: int
    due: int
    returned: bool
    stage: int
    tier: int
    features: bytes | None
    """Observed ones as float32, little-endian; None for those that are not learned from."""
    spend: int = 0
    """Gross millionths of what was bought until ``due``: accepted lines with a positive quantity that are no outliers.
    Negative where it was not noted from the beginning."""


class Order(msgspec.Struct, array_like=True, gc=False):
    """An order seen lately: lines that come later still belong to it, and a refund may take it back.

    ``opened`` is the instant of its first line, whose day and hour count it; ``ts`` that of its last.
    """

    key: int
    ts: int
    amount: int
    opened: int


class State(msgspec.Struct, array_like=True, gc=False):
    """See the module. Instants are ms since the epoch, money is millionths, days and hours count from the epoch."""

    through: int = NO_TIME
    """Instant of the last thing folded, an event or a deadline."""
    fired: int = NO_TIME
    """Instant of the last deadline fired; an event at or before it is out of order."""
    next_at: int = FAR
    """The next instant at which silence alone changes something."""
    first: list[int] = msgspec.field(default_factory=lambda: [NO_TIME] * 3)
    last: list[int] = msgspec.field(default_factory=lambda: [NO_TIME] * 3)
    first_seen: int = NO_TIME
    active_at: int = NO_TIME
    """The last sign of life: refunds are none."""
    heard_at: int = NO_TIME
    """The last event of any kind: from it on a profile is kept, so that whatever was in an erased one is too late."""
    active_days: int = 0
    engaged: bool = False
    session: int = 0
    session_seen: int = 0
    days: list[list[int]] = msgspec.field(default_factory=list)
    hours: list[list[int]] = msgspec.field(default_factory=list)
    clicks: int = 0
    searches: int = 0
    carts: int = 0
    orders: int = 0
    lines: int = 0
    amount: int = 0
    refunded: int = 0
    refunds: int = 0
    orders_365d: int = 0
    amount_365d: int = 0
    first_order: int = NO_TIME
    last_order: int = NO_TIME
    purchase_days_total: int = 0
    purchase_days: list[int] = msgspec.field(default_factory=list)
    half_gap: int = 0
    """Twice the median gap between purchase days, in days; 0 below 3 purchase days."""
    recent_orders: list[Order] = msgspec.field(default_factory=list)
    interests: dict[str, int] = msgspec.field(default_factory=dict)
    interests_day: int = 0
    hour_counts: list[int] = msgspec.field(default_factory=lambda: [0] * 24)
    ids: dict[int, int] = msgspec.field(default_factory=dict)
    stage: int = Stage.VISITOR
    since: int = NO_TIME
    loyal: bool = False
    rfm: int = 0
    """R*100 + F*10 + M; 0 for who never bought."""
    tier: int = -1
    score_at: int = FAR
    """The next scheduled score."""
    score_until: int = NO_TIME
    pending: list[Observation] = msgspec.field(default_factory=list)
    last_churned: tuple[int, int] = (NO_TIME, NO_TIME)
    """(as_of, due) of the last label that said churned, to notice a late purchase that contradicts it."""
    last_cart: int = NO_TIME
    carts_open: int = 0
    """Things put into the cart since the last order."""
    last_favourite: int = NO_TIME
    expected: list[Observation] = msgspec.field(default_factory=list)
    """Propensity scores waiting for their label; ``pending`` holds those of the risk of churn."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)


def encode_state(state: State) -> bytes:
    """MessagePack, arrays instead of maps: equal states give equal bytes."""
    return _encoder.encode(state)


def decode_state(data: bytes) -> State:
    """The inverse of :func:`encode_state`."""
    return _decoder.decode(data)
