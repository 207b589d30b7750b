"""What happens when partitions come and go: one owner per partition n of all three inputs, or the worker exits.

Faust's recovery task is where partitions are taken, because there the consumer's heartbeats go on (FAUST.md 22). The
order in which the flow is stopped, positions are set and the flow is resumed is what cures issue #596.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

from streams.core.errors import BrokerError, TopicError
from streams.live.consumer import Consumer
from streams.live.exits import Exits

log = logging.getLogger(__name__)


class Owners(Protocol):
    """Who takes and releases partitions: :class:`streams.live.ownership.Ownership`."""

    async def take(self, partitions: frozenset[int], generation: int) -> Mapping[TP, int] | None:
        """Take exactly these partitions; the positions to read from, or None when overtaken by a new rebalance."""

    async def release(self) -> None:
        """Partitions are about to be revoked: finish the slices, ack what is applied, let go of the rest."""

    async def abandon(self) -> None:
        """The group forgot this worker during an outage: drop everything held, as a crash would."""


def owned_partitions(assignment: Iterable[TP], topics: Sequence[str]) -> frozenset[int]:
    """The partitions n of which all topics are assigned.

    Raises
    ------
    TopicError
        Some partition n is assigned for some of the topics only: a user's clicks and purchases would be counted by two
        workers.

    >>> sorted(owned_partitions([TP("a", 1), TP("b", 1)], ["a", "b"]))
    [1]
    """
    by_topic = {topic: {tp.partition for tp in assignment if tp.topic == topic} for topic in topics}
    whole = frozenset.intersection(*(frozenset(found) for found in by_topic.values()))
    if any(found != whole for found in by_topic.values()):
        shown = "; ".join(f"{topic}: {sorted(found)}" for topic, found in by_topic.items())
        raise TopicError(
            f"The group gave this worker different partitions of its inputs ({shown}).",
            "The three topics must have the same number of partitions and all workers must run the same version: "
            "check with `ebbtide topics`, stop all workers, then start them.",
        )
    return whole


class TakingRecovery(Recovery):
    """Faust's recovery, which restores no tables (there are none) but has the owners take their partitions."""

    async def _resume_streams(self, generation_id: int = 0) -> None:
        try:
            await self._take(generation_id)
        except Exception as error:  # noqa: BLE001 (ends the process)
            self._exits().end(error, "while taking partitions")

    async def _take(self, generation_id: int) -> None:
        app = cast(Any, self.app)
        consumer = cast(Consumer, app.consumer)
        # FAUST.md 1 (#596): nothing may flow until the positions are set, else resuming clears what has been read.
        consumer.stop_flow()
        app.flow_control.suspend()
        assignment = frozenset(consumer.assignment())
        partitions = owned_partitions(assignment, app.input_topics)
        self._refuse_if_thrown_out(consumer)
        positions = await app.owners.take(partitions, generation_id)
        if positions is None or app.consumer_generation_id != generation_id:
            log.info("Another rebalance began while partitions were taken; starting over.")
            return
        await consumer.start_from(positions)
        consumer.resume_partitions(set(assignment))
        await app.on_rebalance_complete.send()
        self.completed.set()
        app.flow_control.resume()
        consumer.resume_flow()
        await app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        app.on_rebalance_end()
        log.info("Reading partitions %s.", sorted(partitions) or "none")

    def _refuse_if_thrown_out(self, consumer: Consumer) -> None:
        if consumer.thrown_out:
            raise BrokerError(
                "The group had put this worker out: it was silent for longer than the session timeout.",
                "Others own its partitions now; start it again.",
            )

    def _exits(self) -> Exits:
        return cast(Exits, cast(Any, self.app).exits)


class CopartitionedTables(TableManager):
    """A table manager without tables, which says that there is a changelog.

    Faust uses its co-partitioned, sticky assignor only for apps with a changelog, else round robin, which scatters
    partition n of several topics (FAUST.md 24). Our changelog is not Faust's: it is never subscribed to.
    """

    async def on_start(self) -> None:
        """Faust's own first waits a second for tables to be declared."""
        await self._update_channels()
        await self.recovery.start()

    @property
    def changelog_topics(self) -> set[str]:
        return {cast(Any, self.app).changelog_topic}

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = TakingRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
