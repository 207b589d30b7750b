"""A finished backfill becomes the state of a live installation: what ``ebbtide bootstrap`` does.

Every partition first says that it is being loaded, then gets its profiles behind a fence of ours, and last, once all of
them and the model are there, the record that makes them count. A worker that comes before refuses; a run that was cut
off is repeated as a whole, which writes the same once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from streams.core.errors import BrokerError, SettingsError
from streams.core.net_differences import NetDifferences
from streams.core.tally import OPENED, Counts, Tally, pending
from streams.live.bootstrap_load import Handed, Loading, told_before
from streams.live.bootstrap_model import ModelHandover
from streams.live.bootstrap_standing import Place, ended, places_to_load
from streams.live.changelog import Changelog, ChangelogReader, FencedError
from streams.live.fence import PARTITION_KEY
from streams.live.outbox import Producer
from streams.live.ownership import random_writer
from streams.live.partition_record import encode_record
from streams.live.survey import COORDINATOR_SLACK_S, commit_while_stopped, recorded
from streams.settings import Settings
from streams.topics import CHANGELOG, topic_name


class Times(Protocol):
    """How far the run has come, and by which rules: :class:`streams.replay.handover.Document`."""

    @property
    def horizon_days(self) -> int: ...
    @property
    def propensity_days(self) -> int: ...
    @property
    def policy_version(self) -> str: ...
    @property
    def watermark(self) -> int: ...
    @property
    def newest(self) -> int: ...
    @property
    def clock(self) -> int: ...
    @property
    def applied_until(self) -> int: ...
    @property
    def tally(self) -> Counts: ...


class Run(Protocol):
    """A finished run: :class:`streams.replay.handed_over.HandedOver`."""

    id: str

    @property
    def document(self) -> Times: ...
    def profiles(self) -> Iterator[Handed]: ...
    def cuts(self) -> Iterator[dict[str, Any]]: ...
    def examples(self) -> Iterator[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a bootstrap has done; all 0 where it had been done before."""

    partitions: int = 0
    users: int = 0
    changes: int = 0
    portraits: int = 0
    forgotten: int = 0
    cuts: int = 0
    examples: int = 0


async def bootstrap(
    settings: Settings,
    run: Run,
    partition_of: Callable[[bytes, int], int],
    *,
    progress: Callable[[int], None] = lambda users: None,
    patience_s: float | None = None,
) -> Loaded:
    """Load a finished run into an installation that has no state.

    Parameters
    ----------
    settings
        Brokers, prefix, partitions, group, horizons.
    run
        What is handed over.
    partition_of
        The partition of a key among so many, as producers choose it.
    progress
        Hears how many users are done.
    patience_s
        How long members may stay in the group; the session timeout and a little more by default.

    Raises
    ------
    SettingsError
        The run looks another number of days ahead than set.
    StateError
        There is state already, or another bootstrap that was interrupted.
    BrokerError
        A worker or a trainer runs; Kafka does not answer, or does not let us.
    InputFileError
        What is handed over is damaged; nothing of it counts.
    """
    _same_horizons(run.document, settings)
    places = await places_to_load(settings, run.id)
    if not places:
        return Loaded()
    if patience_s is None:
        patience_s = settings.session_timeout_s + COORDINATOR_SLACK_S
    await commit_while_stopped(settings, {place.partition: place.begun for place in places}, patience_s)
    producer = Producer(settings)
    await producer.start()
    try:
        return await _load(
            settings, run, places, producer, lambda key: partition_of(key, settings.partitions), progress
        )
    except FencedError as error:
        raise BrokerError(
            f"Somebody has taken a partition meanwhile: a worker or another bootstrap runs. ({error.what})",
            "Stop all workers, then run it again with the same folder. Workers refuse until it has ended.",
        ) from error
    finally:
        await producer.stop()


async def _load(
    settings: Settings,
    run: Run,
    places: list[Place],
    producer: Producer,
    partition_of: Callable[[bytes], int],
    progress: Callable[[int], None],
) -> Loaded:
    changelogs = {place.partition: await _begin(settings, producer, place) for place in places}
    document = run.document
    differences = NetDifferences(document.applied_until, document.policy_version, document.horizon_days)
    loading = Loading(settings, producer, changelogs, partition_of, differences, await told_before(settings))
    await loading.load(run.profiles(), progress)
    tallies = {
        partition: _tally(partition, document.tally, loading.waiting.get(partition, {})) for partition in changelogs
    }
    model = ModelHandover(settings, producer, partition_of)
    # Where some partitions count already, the model was brought before the first of them did.
    if len(places) == settings.partitions:
        await model.bring(run.cuts(), run.examples(), document.watermark, tallies)
        await model.refuse_trainer()
    for place in places:
        changelog = changelogs[place.partition]
        record = ended(
            place,
            watermark=document.watermark,
            newest=document.newest,
            clock=document.clock,
            portraits_from=changelog.last + 1,
            tally=tallies[place.partition],
            applied_until=document.applied_until,
        )
        await changelog.append([(PARTITION_KEY, encode_record(record))])
    return Loaded(
        len(places), loading.users, loading.changes, loading.portraits, loading.forgotten, model.cuts, model.examples
    )


async def _begin(settings: Settings, producer: Producer, place: Place) -> Changelog:
    """Fence a partition off and say that it is being loaded."""
    topic = topic_name(CHANGELOG, settings)
    reader = ChangelogReader(settings, topic, place.partition, stall_s=settings.restore_timeout_s)
    changelog = Changelog(producer, reader, topic, place.partition, random_writer())
    fence = await changelog.fence()
    if not place.resumed:
        record, has_profiles = await recorded(reader, fence)
        if record != place.found or has_profiles:
            raise BrokerError(
                f"A worker has written to {changelog.where} meanwhile.", "Stop all workers, then run it again."
            )
    await changelog.append([(PARTITION_KEY, encode_record(place.begun))])
    return changelog


def _tally(partition: int, whole: Counts, waiting: Counts) -> Tally:
    """What became of the scores of a partition: those that wait in its profiles, and in the first one all decided ones.

    A run of one process does not know which partition a decided score would have been of; the sum is right.
    """
    counts = {head: dict(states) for head, states in whole.items()} if partition == 0 else {}
    for states in counts.values():
        states[OPENED] = states.get(OPENED, 0) - pending(states)
    return Tally(counts=counts).plus(waiting)


def _same_horizons(times: Times, settings: Settings) -> None:
    for name, ran, wanted in (
        ("EBBTIDE_HORIZON_DAYS", times.horizon_days, settings.horizon_days),
        ("EBBTIDE_PROPENSITY_HORIZON_DAYS", times.propensity_days, settings.propensity_horizon_days),
    ):
        if ran != wanted:
            raise SettingsError(
                f"The backfill looked {ran} days ahead, and {name} is {wanted}.",
                f"Set {name}={ran} for bootstrap, workers and trainer; or run the backfill for {wanted} days.",
            )
