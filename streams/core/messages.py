"""The bodies of every output topic, as types: the source of the JSON Schemas and of what tests hold messages against.

The engine builds plain dicts, which is what the JSON codec is fastest with; :func:`schema_of` and the contract tests
keep the two in step.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final, Literal

import msgspec

from streams.core.events import ACTIONS, DAY_MS, INPUT_TOPICS, MICRO, Event, Kind
from streams.core.instants import format_instant
from streams.core.ports import Example
from streams.core.scorecard_message import ModelScorecard
from streams.core.tally import Tally


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What every output says; ``id`` is the CloudEvents id too."""

    id: str
    user_id: str
    as_of: str
    seq: int
    mode: Literal["live", "replay"]


class CauseBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Why a segment changed: an event with its position, or a deadline."""

    kind: Literal["event", "silence", "policy"]
    event_id: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    deadline: str | None = None


class SegmentChange(Body):
    """Topic ``segment-changes``."""

    dimension: Literal["lifecycle", "value_tier", "risk_band"]
    previous: str | None
    current: str | None
    phase: Literal["acquisition", "activation", "growth", "maturity", "churn"]
    since: str
    cause: CauseBody
    rule: str
    policy_version: str
    evidence: dict[str, float | int | str | None]


class ModelRef(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which model scored."""

    name: str
    version: str


class Reason(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One family of features that raises the risk: by how much (logit), and the feature that ``text`` tells of."""

    family: str
    feature: str
    value: float
    usual: float
    contribution: float
    text: str


class Change(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """By how much what a family adds to the logit has changed."""

    family: str
    change: float
    text: str


class Changed(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Against the score told last: the changes of ``base``, ``by`` and ``others`` add up to that of the logit."""

    since: str
    probability: float
    model_changed: bool
    base: float
    by: list[Change]
    others: float


class ChurnRisk(Body):
    """Topic ``churn-risk``. ``probability`` and ``band`` are null while ``cold_start``; then ``rank_score`` ranks.

    ``base`` is the logit of the average customer: with what all ``families`` add, it is that of the probability.
    """

    probability: float | None
    horizon_days: int
    band: Literal["low", "medium", "high", "critical"] | None
    previous_band: Literal["low", "medium", "high", "critical"] | None
    scheduled: bool
    cold_start: bool
    stale_model: bool
    model: ModelRef
    reasons: list[Reason]
    base: float | None
    families: dict[str, float]
    changed: Changed | None
    rank_score: float | msgspec.UnsetType = msgspec.UNSET


class PurchasePropensity(Body):
    """Topic ``purchase-propensity``: how likely somebody, customer or visitor, is to buy within ``horizon_days``.

    Told on schedule while somebody is about, and at once where an event moves it by 0.05; ``probability`` is null while
    ``cold_start``.
    """

    probability: float | None
    horizon_days: int
    scheduled: bool
    cold_start: bool
    stale_model: bool
    model: ModelRef


class CustomerValue(Body):
    """Topic ``customer-value``: told with each scheduled risk, and when an order moves it by 10%. In shop currency.

    ``expected_spend`` = ``p_purchase`` x ``spend_if_purchase`` is gross and within ``horizon_days``;
    ``expected_net_spend`` is what is left of it after refunds; ``clv`` = ``net_spend_to_date`` +
    ``expected_net_spend_365d``. What is expected is null while ``cold_start``.
    """

    expected_spend: float | None
    expected_net_spend: float | None
    p_purchase: float | None
    spend_if_purchase: float | None
    horizon_days: int
    clv: float | None
    net_spend_to_date: float
    expected_net_spend_365d: float | None
    scheduled: bool
    cold_start: bool
    stale_model: bool
    model: ModelRef


class Totals(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Since ever; ``amount`` is net of ``refunded``."""

    clicks: int
    searches: int
    orders: int
    lines: int
    amount: float
    refunded: float


class WindowSums(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One window as of ``as_of``; ``amount`` is net."""

    clicks: int
    searches: int
    orders: int
    amount: float


class Lifecycle(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Stage, its phase, and since when."""

    stage: str
    phase: str
    since: str | None


class Value(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Value tier and the three RFM digits, and the customer value told last; null for who never bought.

    ``expected_spend`` (gross, within the horizon) and ``clv`` are those of the last ``customer-value``.
    """

    tier: Literal["bronze", "silver", "gold", "platinum"] | None
    rfm: str | None
    expected_spend: float | None
    clv: float | None


class Risk(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The last risk told."""

    probability: float | None
    band: Literal["low", "medium", "high", "critical"] | None
    as_of: str
    model_version: str


class PropensityTold(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The last propensity to buy that was told, while it still says something."""

    probability: float
    horizon_days: int
    as_of: str
    model_version: str


class Interest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A category and its share of the user's present interest."""

    category: str
    weight: float


class UserProfile(Body):
    """Topic ``user-profiles`` (compacted)."""

    first_seen_at: str | None
    last_seen_at: str | None
    first_order_at: str | None
    last_order_at: str | None
    totals: Totals
    windows: dict[str, WindowSums]
    lifecycle: Lifecycle
    value: Value
    risk: Risk | None
    propensity: PropensityTold | None
    interests: list[Interest]


class SourceBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a record was read."""

    topic: str
    partition: int
    offset: int


class LateEvent(Body):
    """Topic ``late-events``."""

    late_by_ms: int
    watermark: str
    event: dict[str, Any]
    source: SourceBody


class TrainingExample(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Topic ``training-examples``: a score whose label is known, ``churned`` or ``bought`` by its head.

    ``features`` is base64 of float32, LE; ``spend`` is gross, in the shop's currency, within the horizon. On the
    ``spaced`` ones, no two of a user within one horizon, champion and challenger are compared.
    """

    type: Literal["example"]
    format: Literal[2]
    id: str
    user_id: str
    user_hash: int
    as_of: str
    label_at: str
    head: Literal["churn", "propensity"]
    churned: Literal[0, 1] | msgspec.UnsetType = msgspec.UNSET
    bought: Literal[0, 1] | msgspec.UnsetType = msgspec.UNSET
    spend: float | None
    probability: float | None
    model_version: str
    cold_start: bool
    stage: str
    tier: str | None
    partition: int
    features: str | None
    spaced: bool
    schema: str
    horizon_days: int


BODIES: Final[dict[str, type[msgspec.Struct]]] = {
    "segment-changes": SegmentChange,
    "churn-risk": ChurnRisk,
    "purchase-propensity": PurchasePropensity,
    "customer-value": CustomerValue,
    "user-profiles": UserProfile,
    "late-events": LateEvent,
    "training-examples": TrainingExample,
    "model-scorecard": ModelScorecard,
}


def schema_of(topic: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of an output topic's body."""
    return msgspec.json.schema(BODIES[topic])


def example_body(example: Example, partition: int, schema: str) -> dict[str, Any]:
    """The ``training-examples`` body of a labelled score; ``schema`` is that of its head."""
    return {
        "type": "example",
        "format": 2,
        "id": example.id,
        "user_id": example.user_id,
        "user_hash": example.user_hash,
        "as_of": format_instant(example.as_of_ms),
        "label_at": format_instant(example.label_ms),
        "head": example.head,
        "churned" if example.head == "churn" else "bought": int(example.outcome),
        "spend": None if example.spend is None else example.spend / MICRO,
        "probability": example.probability,
        "model_version": example.model_version,
        "cold_start": example.cold_start,
        "stage": example.stage,
        "tier": example.tier,
        "partition": partition,
        "features": None if example.features is None else b64encode(example.features).decode("ascii"),
        "spaced": example.spaced,
        "schema": schema,
        "horizon_days": (example.label_ms - example.as_of_ms) // DAY_MS,
    }


def mark_body(
    partition: int,
    partitions: int,
    watermark: int,
    *,
    drained: bool,
    clock: str,
    until: int | None,
    tally: Tally | None = None,
) -> dict[str, Any]:
    """The ``training-examples`` mark: every example of this partition with a label before W was sent.

    ``tally`` says what became of the partition's scheduled scores so far.
    """
    return {
        "type": "mark",
        "partition": partition,
        "partitions": partitions,
        "watermark": watermark,
        "drained": drained,
        "clock": clock,
        "until": until,
        "tally": None if tally is None else {"since": tally.since, "heads": tally.body()},
    }


def event_body(event: Event) -> dict[str, Any]:
    """A clean event in the words of the input topics; what is unknown is left out."""
    body: dict[str, Any] = {
        "type": INPUT_TOPICS[event.kind],
        "event_id": event.id,
        "user_id": event.user_id,
        "ts": format_instant(event.ts),
    }
    if event.kind == Kind.CLICK:
        body["action"] = ACTIONS[event.action]
    optional = {
        "item_id": event.item_id,
        "category": event.category,
        "query": event.query,
        "session_id": event.session_id,
        "refund_of": event.refund_of,
        "price": None if event.price is None else event.price / MICRO,
    }
    body |= {name: value for name, value in optional.items() if value is not None}
    if event.lines:
        body["lines"] = [
            {
                "item_id": line.item_id,
                "category": line.category,
                "brand": line.brand,
                "price": None if line.price is None else line.price / MICRO,
                "quantity": line.quantity,
            }
            for line in event.lines
        ]
    return body
