"""Model cuts as JSON: what was learned up to the end of one event-time day, and where to go on from.

A cut is data, never pickle. Numbers are written by ``repr``, so a round trip is exact to the bit, also through
another JSON library: version and checksum are taken over the parsed numbers, not over the text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as distribution_version
from typing import Any, Final

import numpy as np

from models.errors import SnapshotError
from models.instants import instant_text
from models.packing import pack

FORMAT: Final = 2
_RIVER: Final = distribution_version("river")
DAY_MS: Final = 86_400_000
LAST_INSTANT: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z: beyond it nothing has a date."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS: Final[dict[str, type | tuple[type, ...]]] = {
    "day": int,
    "final": bool,
    "version": str,
    "heads": dict,
    "next_offset": int,
    "resume": dict,
}
_HEAD_FIELDS: Final[dict[str, type | tuple[type, ...]]] = {
    "horizon_days": int,
    "columns": list,
    "schema": str,
    "cold_start": bool,
    "examples": int,
    "champion": str,
    "models": dict,
}


def _one_head(record: dict[str, Any]) -> dict[str, Any]:
    """Format 1 had one model, of churn, whose features had names alone and whose covariance was a list."""
    model = {name: value for name, value in record["model"].items() if name != "churned"}
    model |= {
        "positives": record["model"]["churned"],
        "likelihood_weight": 1.0,
        "covariance": pack(np.array(record["model"]["covariance"], dtype=np.float64)),
    }
    head = {
        "horizon_days": record["horizon_days"],
        "columns": record["features"],
        "schema": record["schema"],
        "cold_start": record["cold_start"],
        "examples": record["examples"],
        "champion": "posterior",
        "models": {"posterior": model},
        "counts": {},
        "scorecard": record["scorecard"],
    }
    gone = {"model", "features", "schema", "horizon_days", "cold_start", "examples", "scorecard"}
    return {**{name: value for name, value in record.items() if name not in gone}, "heads": {"churn": head}}


MIGRATIONS: Final[dict[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {1: _one_head}
"""What brings a cut of format n to n + 1, by n: pure functions of the record."""


def model_hash(cut: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of what a cut has learned: weights, covariance, moments and counts, and who serves.

    Independent of offsets, of how often the log was read, and of the day: the same examples learned in the
    same order give the same hash.
    """
    learned = {name: [head["champion"], head["models"]] for name, head in cut["heads"].items()}
    return hashlib.sha256(_canonical(learned)).hexdigest()


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
    heads: Mapping[str, Mapping[str, Any]],
    next_offset: int,
    resume: Mapping[str, Any],
) -> dict[str, Any]:
    """The ``model-cuts`` record of one cut.

    Parameters
    ----------
    day_ms
        The instant up to which labels were learned: a midnight (UTC), or the end of a finished run.
    heads
        The state of each head (:meth:`models.heads.Head.state`), by name.
    next_offset
        Offset of ``training-examples`` from which a trainer that starts from this cut reads on.
    resume
        What the trainer needs beside the heads to end as if it had never stopped.
    """
    record: dict[str, Any] = {
        "type": "cut",
        "format": FORMAT,
        "day": day_ms,
        "day_at": instant_text(day_ms),
        "final": final,
        "heads": {name: dict(head) for name, head in heads.items()},
        "next_offset": next_offset,
        "resume": dict(resume),
        "river": _RIVER,
    }
    learned = model_hash(record)
    record["version"] = f"{day_text(day_ms)}-{learned[:8]}"
    record["checksum"] = _checksum(record, learned)
    return record


def rebased(cut: Mapping[str, Any], *, partitions: int, next_offset: int) -> dict[str, Any]:
    """The same model, for a trainer that reads on in another ``training-examples``.

    Parameters
    ----------
    cut
        Of a run that ended; nothing it had not learned may be missing behind ``next_offset``.
    partitions
        Number of partitions of the inputs that mark there. Nothing is known of them yet.
    next_offset
        Where to read on.
    """
    resume = {**cut["resume"], "position": next_offset, "marks": [None] * partitions, "ahead": [{}] * partitions}
    record = {**cut, "next_offset": next_offset, "resume": resume}
    return {**record, "checksum": checksum_of(record)}


def verify(record: object, *, horizons: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The record, once it is known to be a cut of ours, whole, and of these horizons (in days, by head).

    A cut of another feature catalogue passes: it is brought over where it is read (:func:`models.schema.moved`).

    Raises
    ------
    SnapshotError
        Foreign, of a format this program does not read, tampered with or damaged, or of another horizon.
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
    if "heads" not in wrong:
        wrong += _head_faults(record["heads"])
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
    for head, days in (horizons or {}).items():
        stored = record["heads"].get(head)
        if stored is not None and stored["horizon_days"] != days:
            raise SnapshotError(
                f"The {name} predicts {head} {stored['horizon_days']} days ahead, and {days} are asked for.",
                "Set the horizon it was made with, or start a new model.",
            )
    return record


def _head_faults(heads: Mapping[str, Any]) -> list[str]:
    """Which parts of which heads are not usable."""
    wrong = []
    for name, head in heads.items():
        if not isinstance(head, dict):
            wrong.append(f"head {name}")
            continue
        wrong += [f"{name}.{key}" for key, kind in _HEAD_FIELDS.items() if not isinstance(head.get(key), kind)]
        if isinstance(head.get("columns"), list) and not all(isinstance(column, str) for column in head["columns"]):
            wrong.append(f"{name}.columns")
    return wrong


def dumps(record: Mapping[str, Any]) -> bytes:
    """A cut as JSON text in UTF-8, for ``model.json``."""
    return json.dumps(record, allow_nan=False, separators=(",", ":")).encode()


def loads(text: bytes, *, horizons: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Read back what :func:`dumps` wrote; refuses what :func:`verify` refuses, and what is not JSON."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"The model cut is not JSON ({error}).", "Restore it from a copy, or retrain.") from error
    return verify(record, horizons=horizons)


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
        try:
            record = {**MIGRATIONS[at](record), "format": at + 1}
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise SnapshotError(
                f"The model cut of format {at} does not hold together ({error}).", "Restore it from a copy, or retrain."
            ) from error
    return {**record, "checksum": checksum_of(record)}


def _checksum_or_none(record: Mapping[str, Any]) -> str | None:
    try:
        return checksum_of(record)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None


def _canonical(content: object) -> bytes:
    return json.dumps(content, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def checksum_of(record: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a cut's content but for its ``checksum``: it tells damage, and is no proof against a forger.

    What was learned, nearly all of a cut, goes in by its own hash, which the version needs anyway.
    """
    return _checksum(record, None if record.get("format") == 1 else model_hash(record))


def _checksum(record: Mapping[str, Any], learned: str | None) -> str:
    content = {key: value for key, value in record.items() if key != "checksum"}
    if learned is not None:
        heads = {name: {k: v for k, v in head.items() if k != "models"} for name, head in record["heads"].items()}
        content |= {"heads": heads, "learned": learned}
    return hashlib.sha256(_canonical(content)).hexdigest()
