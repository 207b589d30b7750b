"""Model cuts as JSON: what was learned up to the end of one event-time day, and where to go on from.

A cut is data, never pickle. Numbers are written by ``repr``, so a round trip is exact to the bit, also through
another JSON library: version and checksum are taken over the parsed numbers, not over the text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as distribution_version
from typing import Any, Final

from models.errors import SnapshotError

FORMAT: Final = 1
MIGRATIONS: Final[dict[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
"""What brings a cut of format n to n + 1, by n: pure functions of the record. Format 1 is the only one so far."""
DAY_MS: Final = 86_400_000
LAST_INSTANT: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z: beyond it nothing has a date."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS: Final[dict[str, type | tuple[type, ...]]] = {
    "day": int,
    "final": bool,
    "version": str,
    "model": dict,
    "features": list,
    "schema": str,
    "horizon_days": int,
    "cold_start": bool,
    "examples": int,
    "next_offset": int,
    "resume": dict,
    "scorecard": dict,
}


def schema_hash(names: Sequence[str]) -> str:
    """SHA-256 (hex) of a feature catalogue: one string per feature, say name, unit and transform, in order.

    Examples
    --------
    >>> schema_hash(["recency d log1p"]) == schema_hash(["recency h log1p"])
    False
    """
    return hashlib.sha256(_canonical(list(names))).hexdigest()


def model_hash(cut: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of what a cut has learned: weights, covariance, moments and counts.

    Independent of offsets, of how often the log was read, and of the day: the same examples learned in the
    same order give the same hash.
    """
    return hashlib.sha256(_canonical(cut["model"])).hexdigest()


def day_text(instant_ms: int) -> str:
    """``20110930`` for a midnight, ``20110930T1200`` (seconds if any) for the instant of a partial day."""
    at = _EPOCH + timedelta(milliseconds=instant_ms)
    if instant_ms % DAY_MS == 0:
        return f"{at:%Y%m%d}"
    if instant_ms % 60_000 == 0:
        return f"{at:%Y%m%dT%H%M}"
    return f"{at:%Y%m%dT%H%M%S}" + (f"{instant_ms % 1000:03d}" if instant_ms % 1000 else "")


def cut_record(
    *,
    day_ms: int,
    final: bool,
    model: Mapping[str, Any],
    features: Sequence[str],
    schema: str,
    horizon_days: int,
    cold_start: bool,
    next_offset: int,
    resume: Mapping[str, Any],
    scorecard: Mapping[str, Any],
) -> dict[str, Any]:
    """The ``model-cuts`` record of one cut.

    Parameters
    ----------
    day_ms
        The instant up to which labels were learned: a midnight (UTC), or the end of a finished run.
    model
        The state of the model (:meth:`models.churn.BayesianLogistic.state`).
    schema
        Hash of the feature catalogue (:func:`schema_hash`).
    next_offset
        Offset of ``training-examples`` from which a trainer that starts from this cut reads on.
    resume, scorecard
        What the trainer needs beside the model to end as if it had never stopped.
    """
    record: dict[str, Any] = {
        "type": "cut",
        "format": FORMAT,
        "day": day_ms,
        "day_at": (_EPOCH + timedelta(milliseconds=day_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "final": final,
        "model": dict(model),
        "features": list(features),
        "schema": schema,
        "horizon_days": horizon_days,
        "cold_start": cold_start,
        "examples": model["labels"],
        "next_offset": next_offset,
        "resume": dict(resume),
        "scorecard": dict(scorecard),
        "river": distribution_version("river"),
    }
    record["version"] = f"{day_text(day_ms)}-{model_hash(record)[:8]}"
    record["checksum"] = checksum_of(record)
    return record


def verify(record: object, *, schema: str | None = None, horizon_days: int | None = None) -> dict[str, Any]:
    """The record, once it is known to be a cut of ours, whole, and of this feature schema and horizon.

    Raises
    ------
    SnapshotError
        Foreign, of a format this program does not read, tampered with or damaged, of another schema or another horizon.
    """
    if not isinstance(record, dict) or record.get("type") != "cut" or not isinstance(record.get("format"), int):
        raise SnapshotError("This is not a model cut of Ebbtide.", "Give a model.json or the model-cuts topic.")
    if record["format"] > FORMAT:
        raise SnapshotError(
            f"The model cut has format {record['format']}, and this Ebbtide reads up to {FORMAT}.",
            "Start the newer Ebbtide again; or roll back as docs/operations.md describes (Upgrades and rollback).",
        )
    if record["format"] < FORMAT:
        record = _migrated(record)
    name = f"model cut {record.get('version', 'without version')!s}"
    wrong = [key for key, kind in _FIELDS.items() if not isinstance(record.get(key), kind)]
    if "day" not in wrong and not 0 <= record["day"] <= LAST_INSTANT:
        wrong.append("day")
    if wrong:
        raise SnapshotError(f"The {name} lacks a usable {', '.join(wrong)}.", "Restore it from a copy, or retrain.")
    try:
        checksum = checksum_of(record)
    except (TypeError, ValueError, RecursionError) as error:
        raise SnapshotError(f"The {name} holds what JSON cannot: {error}.", "Restore it, or retrain.") from error
    if record.get("checksum") != checksum:
        raise SnapshotError(f"The {name} does not fit its checksum.", "Restore it from a copy, or retrain.")
    if schema is not None and record["schema"] != schema:
        raise SnapshotError(
            f"The {name} was learned on feature schema {record['schema'][:12]}, and here it is {schema[:12]}.",
            "Start a new model, or run the Ebbtide that made it.",
        )
    if horizon_days is not None and record["horizon_days"] != horizon_days:
        raise SnapshotError(
            f"The {name} predicts {record['horizon_days']} days ahead, and {horizon_days} are asked for.",
            "Set the horizon it was made with, or start a new model.",
        )
    return record


def dumps(record: Mapping[str, Any]) -> bytes:
    """A cut as JSON text in UTF-8, for ``model.json``."""
    return json.dumps(record, allow_nan=False, separators=(",", ":")).encode()


def loads(text: bytes, *, schema: str | None = None, horizon_days: int | None = None) -> dict[str, Any]:
    """Read back what :func:`dumps` wrote; refuses what :func:`verify` refuses, and what is not JSON."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"The model cut is not JSON ({error}).", "Restore it from a copy, or retrain.") from error
    return verify(record, schema=schema, horizon_days=horizon_days)


def _migrated(record: dict[str, Any]) -> dict[str, Any]:
    """A cut of an older format in this one, once it is known to be what was written."""
    if record.get("checksum") != _checksum_or_none(record):
        raise SnapshotError("The model cut does not fit its checksum.", "Restore it from a copy, or retrain.")
    for at in range(record["format"], FORMAT):
        if at not in MIGRATIONS:
            raise SnapshotError(
                f"The model cut has format {record['format']}, and this Ebbtide cannot migrate from format {at}.",
                "Let the release before this one cut once more; or start a new model.",
            )
        record = {**MIGRATIONS[at](record), "format": at + 1}
    return {**record, "checksum": checksum_of(record)}


def _checksum_or_none(record: Mapping[str, Any]) -> str | None:
    try:
        return checksum_of(record)
    except (TypeError, ValueError):
        return None


def _canonical(content: object) -> bytes:
    return json.dumps(content, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def checksum_of(record: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a cut's content but for its ``checksum``: it tells damage, and is no proof against a forger."""
    return hashlib.sha256(_canonical({k: v for k, v in record.items() if k != "checksum"})).hexdigest()
