"""The model of a finished run, for a live trainer to go on from: cuts, and the examples they have not learned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from models.errors import ModelError
from models.snapshots import rebased
from streams.codec import encode
from streams.core.errors import BrokerError, SnapshotError
from streams.core.messages import mark_body
from streams.core.tally import Tally
from streams.live.log_ends import log_end
from streams.live.outbox import Message, Producer
from streams.model_records import record_key, trainer_from
from streams.settings import Settings
from streams.topics import MODEL_CUTS, TRAINING_EXAMPLES, topic_name

TRAINER_ANSWERS_WITHIN_S: Final = 3.0
"""A trainer that runs answers marks with days of the model at once; it looks once a second."""
_CUTS_AT_ONCE: Final = 16


class ModelHandover:
    """Brings the model to its topics, and notices a trainer that should not run.

    Parameters
    ----------
    settings, producer
        Where to.
    partition_of
        The partition of a user id.
    """

    def __init__(self, settings: Settings, producer: Producer, partition_of: Callable[[bytes], int]) -> None:
        self._settings = settings
        self._producer = producer
        self._partition_of = partition_of
        self._cuts = topic_name(MODEL_CUTS, settings)
        self._end = 0
        self.cuts = self.examples = 0
        """How many were brought."""

    async def bring(
        self,
        cuts: Iterable[dict[str, Any]],
        examples: Iterable[dict[str, Any]],
        watermark: int,
        tallies: Mapping[int, Tally],
    ) -> None:
        """Send examples, a mark of every partition, then the cuts, the last of which reads on with these examples.

        Parameters
        ----------
        cuts
            The days of the model, in order.
        examples
            What the last cut has not learned, in order.
        watermark
            W of every partition: no label before it is missing.
        tallies
            By partition, what became of its scores.

        Raises
        ------
        SnapshotError
            A cut is damaged, or of another horizon than set.
        BrokerError
            Kafka does not take it.
        """
        settings = self._settings
        days = list(cuts)
        messages = [self._example(body) for body in examples]
        self.examples = len(messages)
        messages += [self._mark(partition, watermark, tally) for partition, tally in sorted(tallies.items())]
        begun = await self._reached()
        batches = await self._producer.send(topic_name(TRAINING_EXAMPLES, settings), 0, messages)
        first = batches[0][0]
        last = max((number for number, record in enumerate(days) if record["type"] == "cut"), default=None)
        if last is not None:
            days[last] = self._going_on(days[last], first)
        for at in range(0, len(days), _CUTS_AT_ONCE):
            portion = [Message(record_key(record), encode(record)) for record in days[at : at + _CUTS_AT_ONCE]]
            await self._producer.send(self._cuts, 0, portion)
        self.cuts = len(days)
        self._end = begun + len(days)

    async def refuse_trainer(self) -> None:
        """Look whether somebody else has written to ``model-cuts`` since the marks were sent.

        Raises
        ------
        BrokerError
            Somebody did: a trainer runs, and it knows nothing of the model that was brought.
        """
        await asyncio.sleep(TRAINER_ANSWERS_WITHIN_S)
        if (end := await self._reached()) != self._end:
            raise BrokerError(
                f"A trainer runs: {end - self._end} records came to {self._cuts} meanwhile.",
                "Stop all workers and trainers, then run it again with the same folder.",
            )

    async def _reached(self) -> int:
        return await log_end(self._settings, (self._cuts, 0), stall_s=self._settings.restore_timeout_s)

    def _going_on(self, cut: dict[str, Any], next_offset: int) -> dict[str, Any]:
        settings = self._settings
        try:
            record = rebased(cut, partitions=settings.partitions, next_offset=next_offset)
        except (LookupError, TypeError, ValueError) as error:
            raise SnapshotError(
                f"The last model cut does not hold together: {error!r}.", "Run the backfill again."
            ) from error
        except ModelError as error:
            raise SnapshotError(error.what, error.hint) from error
        trainer_from(record, settings.partitions, settings.horizon_days, settings.propensity_horizon_days)
        return record

    def _example(self, body: dict[str, Any]) -> Message:
        key = str(body["user_id"]).encode()
        return Message(key, encode({**body, "partition": self._partition_of(key)}))

    def _mark(self, partition: int, watermark: int, tally: Tally) -> Message:
        body = mark_body(
            partition, self._settings.partitions, watermark, drained=False, clock="wall", until=None, tally=tally
        )
        return Message(b"mark-%d" % partition, encode(body))
