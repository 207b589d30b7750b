"""Between the engine and the models: which features a trainer learns from and a scorer serves, and records read.

``streams.core`` and ``models`` do not know each other; this is where one's catalogue becomes the other's schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from models.churn import BayesianLogistic
from models.errors import ModelError
from models.head_spec import CHURN, PROPENSITY, VALUE, HeadSpec
from models.heads import head_of
from models.learner import Factory
from models.schema import schema_hash
from models.serving import Cuts
from models.trainer import Trainer
from streams.codec import CodecError, decode
from streams.core import propensity_features
from streams.core.errors import BrokerError, SnapshotError
from streams.core.features import CATALOGUE, SCHEMA
from streams.core.schedule import PROPENSITY_DAYS
from streams.topics import MODEL_CUTS, MODEL_EVENTS, MODEL_SCORECARD

CATALOGUE_SCHEMA: Final = schema_hash(SCHEMA)
"""What churn examples are matched by: names, units and transforms of the features, in order."""
SCHEMAS: Final = {CHURN: CATALOGUE_SCHEMA, PROPENSITY: schema_hash(propensity_features.SCHEMA)}
"""The same, by head."""
PROPENSITY_MIN_LABELS: Final = 500
"""Fewer than churn needs: it is for short logs too."""
PROPENSITY_PRIOR_VARIANCE: Final = 0.003
"""Over complete_journey_dev (7 d) and taobao_users_dev (1 d) 0.003 bettered 0.01 by 0.0002 and 0.0028 mean AUC."""
FORGETTING: Final = 1e-4
"""What the challenger lets go of with each label: it stands ready for the day on which old habits end. On logs that go
on as before it is worse by 0.0003 to 0.001 nats, after a change better by 0.0015 to 0.004: docs/models.md."""
TOPIC_OF: Final = {
    "cut": MODEL_CUTS,
    "same": MODEL_CUTS,
    "frontier": MODEL_CUTS,
    "takeover": MODEL_EVENTS,
    "drift": MODEL_EVENTS,
    "rollback": MODEL_EVENTS,
    "scorecard": MODEL_SCORECARD,
}
"""Where what a trainer gives back is published, by its type."""

_FOREIGN: Final = "Only workers and trainers of one Ebbtide may write to this topic; see who else does."


def head_specs(horizon_days: int, propensity_days: int = PROPENSITY_DAYS) -> list[HeadSpec]:
    """What is learned: the heads with the engine's feature catalogues."""
    # Its horizons do not overlap as those of churn do: every label counts whole.
    propensity = partial(BayesianLogistic, prior_variance=PROPENSITY_PRIOR_VARIANCE, likelihood_weight=1.0)
    families = {f.name: f.family for f in CATALOGUE}
    return [
        HeadSpec(CHURN, SCHEMA, horizon_days, candidates=_candidates(partial(BayesianLogistic)), families=families),
        HeadSpec(
            PROPENSITY,
            propensity_features.SCHEMA,
            propensity_days,
            min_labels=PROPENSITY_MIN_LABELS,
            candidates=_candidates(propensity),
            families={f.name: f.family for f in propensity_features.CATALOGUE},
        ),
        HeadSpec(VALUE, SCHEMA, horizon_days, source=CHURN),
    ]


def _candidates(posterior: partial[BayesianLogistic]) -> dict[str, Factory]:
    """The champion of the beginning, and its challenger."""
    return {"posterior": posterior, "forgetful": partial(posterior, forgetting=FORGETTING)}


def new_trainer(
    partitions: int, horizon_days: int, propensity_days: int = PROPENSITY_DAYS, *, whole_run: bool = False
) -> Trainer:
    """A trainer that has learned nothing, for the catalogue's features; ``whole_run`` is the scorecards'."""
    specs = head_specs(horizon_days, propensity_days)
    return Trainer(partitions, [head_of(spec, whole_run=whole_run) for spec in specs])


def trainer_from(
    cut: dict[str, Any], partitions: int, horizon_days: int, propensity_days: int = PROPENSITY_DAYS
) -> Trainer:
    """The trainer as it was at a cut.

    Raises
    ------
    SnapshotError
        The cut is foreign, tampered with, newer, or of other partitions or another horizon.
    """
    try:
        return Trainer.from_cut(cut, partitions, head_specs(horizon_days, propensity_days))
    except ModelError as error:
        raise SnapshotError(error.what, error.hint) from error


def new_cuts(horizon_days: int, propensity_days: int = PROPENSITY_DAYS) -> Cuts:
    """An empty container of cuts that refuses those of another horizon."""
    return Cuts(head_specs(horizon_days, propensity_days))


def model_record(value: bytes | None, where: str) -> dict[str, Any]:
    """A record of ``training-examples`` or ``model-cuts``: a JSON object that names its type.

    Parameters
    ----------
    value
        The record's bytes.
    where
        Topic, partition and offset, for the message.

    Raises
    ------
    BrokerError
        It is none: somebody else writes to the topic.

    >>> model_record(b'{"type": "mark"}', "training-examples, partition 0, offset 3")
    {'type': 'mark'}
    """
    if value is None:
        raise BrokerError(f"The record at {where} has no value.", _FOREIGN)
    try:
        body = decode(value)
    except CodecError as error:
        raise BrokerError(f"The record at {where} cannot be read: {error}.", _FOREIGN) from error
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        raise BrokerError(f"The record at {where} is no JSON object with a type.", _FOREIGN)
    return body


def record_key(record: Mapping[str, Any]) -> bytes:
    """The key under which a trainer's record is published.

    >>> record_key({"type": "same", "day": 86400000})
    b'86400000'
    """
    named = {MODEL_CUTS: "day", MODEL_EVENTS: "id", MODEL_SCORECARD: "head"}
    return str(record[named[TOPIC_OF[record["type"]]]]).encode()


def learn(trainer: Trainer, body: dict[str, Any], offset: int, now_ms: int) -> list[dict[str, Any]]:
    """Give one record of ``training-examples`` to the trainer; what is to be published comes back.

    Parameters
    ----------
    body
        As :func:`model_record` read it.
    offset
        Where it stands.
    now_ms
        Wall time, ms.

    Raises
    ------
    BrokerError
        It is no example, mark or rollback, or does not hold together; nothing was changed.
    """
    try:
        if body["type"] == "mark":
            return trainer.mark(body, offset, now_ms)
        if body["type"] == "example":
            return trainer.example(body, offset)
        if body["type"] == "rollback":
            return trainer.rollback(body, offset)
    except ModelError as error:
        raise BrokerError(error.what, error.hint) from error
    raise BrokerError(f"training-examples holds a record of unknown type {body['type'][:40]!r}.", _FOREIGN)
