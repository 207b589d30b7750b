"""Offline runs in memory: rows from a list, everything they give kept; every cut of every day too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest

from models.snapshots import dumps
from streams import codec, model_records
from streams.core.events import HOUR_MS, INPUT_TOPICS, Position
from streams.core.hashing import stable_hash
from streams.core.instants import parse_instant
from streams.core.ports import Rejection
from streams.policies.reader import read_policy
from streams.replay import offline
from streams.replay.offline import OfflineRun, RunOptions
from streams.replay.shards import OneShard, Shards
from streams.replay.sources import Row, Source
from streams.replay.turn_results import Told

PUBLISHED_MS: Final = 1_800_000_000_000
KINDS: Final = {"click": 0, "search": 1, "purchase": 2}
PORTRAITS: Final = "user-profiles"
Body = dict[str, Any]


class ListedRows:
    """A source of rows as ``tests.support.backfills.shop_rows`` makes them, in time order; ``ts`` in epoch ms.

    A row is named after its place, so that two lists that begin alike name their beginnings alike.
    """

    def __init__(self, rows: Sequence[Body]) -> None:
        self._rows = rows

    @property
    def total(self) -> int:
        return len(self._rows)

    def describe(self) -> list[Body]:
        return []

    def rows(self) -> Iterator[Row]:
        for number, raw in enumerate(self._rows):
            kind = KINDS[raw["event_type"]]
            where = Position(INPUT_TOPICS[kind], 0, number)
            yield Row(kind, raw["ts"], raw, None, where, f"row-{number:09d}", PUBLISHED_MS, {"row": number}, True)


class SomeUsers:
    """A source with the rows of one user in so many, chosen by hash."""

    def __init__(self, source: Source, one_user_in: int) -> None:
        self._source, self._share = source, one_user_in

    @property
    def total(self) -> int:
        return self._source.total

    def describe(self) -> list[Body]:
        return self._source.describe()

    def rows(self) -> Iterator[Row]:
        for row in self._source.rows():
            if isinstance(row.raw, dict) and stable_hash(str(row.raw.get("user_id"))) % self._share == 0:
                yield row


@dataclass(repr=False)
class Kept:
    """A sink that keeps everything, as the bytes that would be written; or nothing but the examples."""

    only_examples: bool = False
    outputs: list[tuple[str, int, bytes]] = field(default_factory=list)
    """Topic, as_of in ms, and body."""
    examples: list[Body] = field(default_factory=list)
    documents: dict[str, Body] = field(default_factory=dict)
    letters: list[tuple[Rejection, Row]] = field(default_factory=list)
    model_records: list[Body] = field(default_factory=list)
    """Everything the trainer gave back, cuts too."""

    def output(self, told: Told) -> None:
        if not self.only_examples:
            self.outputs.append((told.topic, told.as_of_ms, told.line))

    def example(self, body: Body, user_id: str) -> None:
        self.examples.append(body)

    def dead_letter(self, rejection: Rejection, row: Row) -> None:
        self.letters.append((rejection, row))

    def model_record(self, topic: str, record: Body) -> None:
        """Kept where the trainer gives it back."""

    def document(self, name: str, body: Body) -> None:
        self.documents[name] = body

    def everything(self) -> bytes:
        """One byte string of it all."""
        return codec.encode(
            [
                [(topic, at, line.decode()) for topic, at, line in self.outputs],
                self.examples,
                self.documents,
                [dumps(record).decode() for record in self.model_records],
            ],
            sort_keys=True,
        )


def run_offline(
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
    *,
    min_labels: int = 1_000,
    only_examples: bool = False,
    shards: Callable[[RunOptions], Shards] = OneShard,
    **options: Any,
) -> Kept:
    """Run a source through engine and trainer.

    Parameters
    ----------
    min_labels
        Labels from which models serve: a small shop never has a thousand.
    only_examples
        Keep nothing else: a whole log's outputs are large.
    shards
        Who holds the users.
    options
        Of :class:`RunOptions`; the policy is the built-in one by default.
    """
    kept = Kept(only_examples)
    make = model_records.new_trainer

    def watched(*arguments: Any, **named: Any) -> Any:
        trainer = make(*arguments, **named)
        for head in trainer.heads.values():
            head.spec = replace(head.spec, min_labels=min_labels)  # type: ignore[misc]
        for name in ("mark", "example") if not only_examples else ():
            monkeypatch.setattr(trainer, name, _noting(getattr(trainer, name), kept.model_records))
        return trainer

    with monkeypatch.context() as patched:
        patched.setattr(offline, "new_trainer", watched)
        chosen = RunOptions(**{"policy": read_policy(None), **options})
        OfflineRun(source, kept, chosen, lambda progress: None, shards(chosen)).run()
    return kept


def _noting(call: Callable[..., list[Body]], noted: list[Body]) -> Callable[..., list[Body]]:
    def called(*arguments: Any) -> list[Body]:
        records = call(*arguments)
        noted.extend(records)
        return records

    return called


def known_by(kept: Kept, instant: int) -> dict[str, list[Any]]:
    """Whatever a run told as of an instant or before, and all that was learned by then.

    A cut is compared whole once its mark was due by the instant; before, by its models: where the trainer stood in its
    topic may depend on the last hour.
    """
    parts: dict[str, list[Any]] = {}
    for topic, as_of, line in kept.outputs:
        # Portraits are written when a run ends, as of then.
        if as_of <= instant and topic != PORTRAITS:
            parts.setdefault(topic, []).append(line)
    parts["training-examples"] = [body for body in kept.examples if _ms(body["label_at"]) <= instant]
    for record in kept.model_records:
        if record["type"] in {"cut", "same"}:
            if not record.get("final") and record["day"] + HOUR_MS <= instant:
                parts.setdefault("cuts", []).append(dumps(record))
            elif not record.get("final") and record["day"] <= instant and record["type"] == "cut":
                models = {name: head["models"] for name, head in record["heads"].items() if "models" in head}
                parts.setdefault("weights", []).append(dumps({"version": record["version"], "models": models}))
        elif "at" in record and _ms(record["at"]) <= instant:
            parts.setdefault("model-events", []).append(dumps(record))
    return parts


def _ms(text: str) -> int:
    instant = parse_instant(text)
    assert instant is not None
    return instant
