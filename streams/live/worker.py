"""The worker: everything wired together, started, watched and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable
from typing import Any, Final

from streams import provisioning
from streams.access_list import Role
from streams.core.cleaning import cleaning_policy
from streams.core.engine import PartitionEngine
from streams.core.errors import BrokerError
from streams.core.events import INPUT_TOPICS, MINUTE_MS
from streams.core.policy import Policy
from streams.kafka_access import refusal
from streams.live.app import EbbtideApp, create_app
from streams.live.exits import FROZEN_S, Exits, Watchdog, cut_short
from streams.live.hold_feed import HoldFeed
from streams.live.judging import Judging, recorded_partitions
from streams.live.log_identity import LogIdentity
from streams.live.model_feed import ModelFeed
from streams.live.observer import Observer
from streams.live.outbox import Producer
from streams.live.output_gates import OutputGates
from streams.live.ownership import EngineFor, Ownership
from streams.live.reach import Probe, Reach
from streams.live.seams import Clock, PendingProfiles
from streams.live.stalls import StallWatch
from streams.live.store import StoreFolder
from streams.live.trainer_loop import TrainerLoop
from streams.settings import Settings
from streams.topics import CATALOGUE, CHANGELOG, topic_name

log = logging.getLogger(__name__)

BEAT_EVERY_S: Final = 0.25
PROGRESS_WITHIN_S: Final = 120.0


class Worker:
    """One process of the consumer group.

    Parameters
    ----------
    settings, policy, clock
        How to work.
    with_trainer
        Run the trainer in this process.
    observer
        Told what happens.
    exits
        The way out when something cannot be trusted.
    engine_for
        Makes the engine of a partition; tests put their own.
    when_restored
        Called whenever all partitions are taken.
    """

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        clock: Clock,
        *,
        with_trainer: bool = False,
        observer: Observer | None = None,
        exits: Exits | None = None,
        engine_for: EngineFor | None = None,
        when_restored: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.exits = exits or Exits()
        self.observer = observer or Observer()
        self._clock = clock
        self._policy = policy
        self._engine_for = engine_for or self._engine
        self._when_restored = when_restored
        self._stopping = asyncio.Event()
        self._beat_at = time.monotonic()
        self.reach = Reach(settings.brokers)
        self.feed = ModelFeed(settings, self.exits, reach=self.reach)
        self._holds = HoldFeed(settings, self.exits, reach=self.reach)
        self.trainer = (
            TrainerLoop(
                settings,
                self.exits,
                on_progress=self.observer.learned,
                on_scorecards=self.observer.scorecards,
                reach=self.reach,
            )
            if with_trainer
            else None
        )
        self.ownership: Ownership | None = None
        self.app: EbbtideApp | None = None
        self._producer = Producer(settings, reach=self.reach)

    # -- what is asked from outside ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop in order: finish the slices, leave the group."""
        self._stopping.set()

    def not_alive(self) -> list[str]:
        """Why a supervisor should restart this worker; [] while it works (``/healthz``)."""
        now = time.monotonic()
        reasons = []
        if now - self._beat_at > PROGRESS_WITHIN_S:
            reasons.append(f"the event loop has been blocked for {now - self._beat_at:.0f} s")
        owners = {} if self.ownership is None else self.ownership.owners
        reasons += [
            f"partition {partition} has made no progress for {self.reach.waited_s(owner.progressed_at):.0f} s"
            for partition, owner in sorted(owners.items())
            if self.reach.waited_s(owner.progressed_at) > PROGRESS_WITHIN_S
        ]
        return reasons

    def not_ready(self) -> list[str]:
        """What is still missing before this worker serves; [] when it does (``/readyz``)."""
        reasons = [] if (away := self.reach.not_reached()) is None else [away]
        if not self.feed.ready:
            reasons.append("the model is not read yet")
        if self.ownership is None or not self.ownership.ready.is_set():
            reasons.append("partitions are not assigned or not restored yet")
        elif not self.ownership.in_touch():
            reasons.append("Kafka does not answer")
        return reasons

    # -- life --------------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Work until stopped or at the end of the run; the exit code.

        Raises
        ------
        EbbtideError
            It could not start: broker away, topics that do not fit, state that cannot be used.
        """
        settings = self.settings
        beat = asyncio.create_task(self._beat(), name="beat")
        probe: asyncio.Task[None] | None = None
        try:
            roles = (Role.WORKER,) if self.trainer is None else (Role.WORKER, Role.TRAINER)
            await asyncio.to_thread(provisioning.ensure_topics, settings, roles=roles)
            probe = asyncio.create_task(
                watch_reach(settings, CHANGELOG, self.reach, self.observer, self.exits), name="probe"
            )
            cluster_id = await asyncio.to_thread(provisioning.cluster_id, settings)
            ids = await asyncio.to_thread(provisioning.topic_ids, settings, [CHANGELOG, *INPUT_TOPICS])
            identity = LogIdentity(
                changelog=ids[CHANGELOG],
                cluster_id=cluster_id,
                partitions=settings.partitions,
                inputs=tuple(ids[name] for name in INPUT_TOPICS),
            )
            stores = StoreFolder(
                settings.state_dir / settings.group_id,
                identity,
                oldest_ms=time.time_ns() // 1_000_000 - CATALOGUE[CHANGELOG].tombstone_ms // 2,
            )
            await self._producer.start()
            if self.trainer is not None:
                await self.trainer.start()
            await self.feed.start()
            await self._holds.start()
            self.ownership = self._own(stores, cluster_id)
            self.app = create_app(settings, self.ownership, self.ownership.deliver, self.exits, self.reach)
            self.ownership.consumer = self.app.input_consumer
            self.feed.on_change = self._wake
            starting = asyncio.create_task(self.app.start(), name="faust")
            await self._until_done(starting)
            return 0
        finally:
            with cut_short("worker", self.exits):
                await self._stop()
            beat.cancel()
            if probe is not None:
                probe.cancel()
                await asyncio.wait([probe])

    def _own(self, stores: StoreFolder, cluster_id: str) -> Ownership:
        names = list(INPUT_TOPICS)
        return Ownership(
            self.settings,
            self._clock,
            cleaning_policy(self._policy),
            self._engine_for,
            self._producer,
            stores,
            self.feed,
            lambda: provisioning.topic_ids(self.settings, names),
            self.observer,
            self.exits,
            judging=Judging(
                self.settings,
                stores,
                cluster_id=cluster_id,
                recorded_partitions=lambda: recorded_partitions(self.settings),
            ),
            reach=self.reach,
            gates=OutputGates(self.settings, self._clock, self._holds, self.observer),
        )

    def _engine(self, partition: int, profiles: PendingProfiles) -> Any:
        settings = self.settings
        return PartitionEngine(
            self._policy,
            profiles,
            horizon_days=settings.horizon_days,
            propensity_days=settings.propensity_horizon_days,
            mode="replay" if self._clock.by_log else "live",
            partition=partition,
            grace_ms=round(settings.grace_minutes * MINUTE_MS),
            cache_profiles=max(1, settings.cache_profiles // settings.partitions),
        )

    async def _until_done(self, starting: asyncio.Task[Any]) -> None:
        assert self.app is not None
        ownership = self.ownership
        assert ownership is not None
        thread = self.app.input_consumer.thread
        stalls = StallWatch(
            ownership,
            self.settings.stall_timeout_s,
            self.reach,
            thread.fetch_state,
            lambda: self.feed.received,
        )
        restored = False
        while not self._stopping.is_set():
            was_restored, restored = restored, ownership.ready.is_set()
            if restored and not was_restored:
                self._when_restored()
            if starting.done() and not starting.cancelled() and (failed := starting.exception()) is not None:
                raise BrokerError(f"The worker could not join its group: {failed!r}.") from failed
            if (crashed := self.app.crashed_service()) is not None:
                self.exits.end(
                    refusal(crashed[1], self.settings, "Read", f"topics {' '.join(INPUT_TOPICS)}") or crashed[1],
                    f"in {crashed[0]}",
                )
            if (stalled := stalls.look()) is not None:
                self.exits.end(stalled, "stalled")
            if self._clock.until_ms is not None and ownership.ended and self._final_cut_there():
                log.info("The end of the run is reached.")
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), timeout=BEAT_EVERY_S)

    def _final_cut_there(self) -> bool:
        until = self._clock.until_ms
        return self.trainer is None or (
            until is not None and self.trainer.final_day is not None and self.trainer.final_day >= until
        )

    async def _stop(self) -> None:
        """Slices first, then the group, then everything they needed."""
        if self.app is not None and self.ownership is not None:
            self.app.input_consumer.stop_flow()
            await self.ownership.release()
            await self.app.stop()
            self.ownership.close()
        await self.feed.stop()
        await self._holds.stop()
        if self.trainer is not None:
            await self.trainer.stop()
        await self._producer.stop()

    async def _beat(self) -> None:
        """Notice having been frozen (FAUST.md 23), and have the loop watched from outside."""
        limit = self.settings.session_timeout_s
        frozen = Watchdog(FROZEN_S, BrokerError(f"The event loop did not run for {FROZEN_S:g} s."), self.exits)
        frozen.start()
        try:
            while True:
                self._beat_at = time.monotonic()
                frozen.feed()
                await asyncio.sleep(BEAT_EVERY_S)
                silent_s = time.monotonic() - self._beat_at
                if silent_s > limit and self.ownership is not None and self.ownership.owners:
                    self.exits.end(
                        BrokerError(
                            f"The worker stood still for {silent_s:.0f} s, longer than the session timeout.",
                            "Others own its partitions now; start it again.",
                        ),
                        "frozen",
                    )
        finally:
            frozen.cancel()

    def _wake(self) -> None:
        if self.ownership is not None:
            for owner in self.ownership.owners.values():
                owner.wake()


async def watch_reach(settings: Settings, topic: str, reach: Reach, observer: Observer, exits: Exits) -> None:
    """Keep ``reach`` up to date for the whole life of a process."""
    try:
        await Probe(settings, topic_name(topic, settings), reach, observer.broker).run()
    except Exception as error:  # noqa: BLE001 (ends the process)
        exits.end(error, "while asking whether Kafka answers")


def stop_on_signals(stop: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
    """SIGTERM and SIGINT stop in order. A second Ctrl-C, at least a second later, ends the process as it stands.

    Some supervisors send their signal twice at once, to the process and to its group.
    """
    loop = asyncio.get_running_loop()
    first: list[float] = []

    def asked(number: signal.Signals) -> None:
        if not first:
            log.info("%s: stopping.", number.name)
            stop()
        elif number == signal.SIGINT and clock() - first[0] > 1.0:
            raise KeyboardInterrupt
        first.append(clock())

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)
