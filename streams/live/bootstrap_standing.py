"""Whether a finished backfill may be loaded here: where nobody has begun, or where this very one was interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from streams import provisioning
from streams.access_list import Role
from streams.core.errors import StateError
from streams.live.log_ends import log_end
from streams.live.partition_record import InputPosition, PartitionRecord
from streams.live.standing import Cause
from streams.live.survey import Standing, survey
from streams.settings import Settings
from streams.topics import MODEL_CUTS, TRAINING_EXAMPLES, topic_name

ANEW: Final = (
    "Bootstrap under an EBBTIDE_TOPIC_PREFIX and EBBTIDE_GROUP_ID of its own; or, to give up the state there is, stop "
    "all workers and trainers, delete the topics {topics} and the consumer group {group}, and run it again."
)


@dataclass(frozen=True, slots=True)
class Place:
    """One partition to load."""

    partition: int
    begun: PartitionRecord
    """What it says while it is loaded: where reading begins, and nothing of profiles."""
    found: PartitionRecord
    """What it says now."""
    resumed: bool


async def places_to_load(settings: Settings, bootstrap: str) -> list[Place]:
    """Every partition that is still to be loaded; none where this bootstrap has ended already.

    Parameters
    ----------
    bootstrap
        The id of what is loaded.

    Raises
    ------
    StateError
        There is state already, or the group or a trainer has been at work.
    AccessError, BrokerError, TopicError
        Kafka does not let us, does not answer, or has topics that do not fit.
    """
    await asyncio.to_thread(provisioning.ensure_topics, settings, roles=(Role.BOOTSTRAPPER,))
    standings = await survey(settings)
    places = []
    for one in standings:
        record = one.record
        if record.bootstrap == bootstrap and not record.loading:
            continue
        _refuse_state(one, bootstrap, settings)
        places.append(Place(one.partition, _begun(one, bootstrap), record, resumed=record.loading))
    if len(places) == len(standings) and not any(place.resumed for place in places):
        await _refuse_models(settings)
    return places


def _begun(one: Standing, bootstrap: str) -> PartitionRecord:
    now = one.now
    return PartitionRecord(
        cluster_id=now.cluster_id,
        partitions=now.partitions,
        changelog_begins=now.changelog_oldest,
        inputs=tuple(InputPosition(topic_id=known.topic_id, next=known.oldest) for known in now.inputs),
        bootstrap=bootstrap,
        loading=True,
    )


def _refuse_state(one: Standing, bootstrap: str, settings: Settings) -> None:
    where = f"{one.now.changelog}, partition {one.partition}"
    anew = _anew(settings)
    if one.record.loading:
        if one.record.bootstrap != bootstrap:
            raise StateError(
                f"{where}: another bootstrap was interrupted there ({one.record.bootstrap}; this one is {bootstrap}).",
                f"Run that one again, with the folder it had. {anew}",
            )
        return
    causes = {misfit.cause for misfit in one.misfits}
    if not one.record.blank or Cause.UNRECORDED in causes:
        raise StateError(f"{where} holds state already: a bootstrap would count it again.", anew)
    for known in one.now.inputs:
        if known.committed is not None and known.committed > known.oldest:
            raise StateError(
                f"The group {one.now.group} has read {known.topic}, partition {one.partition} up to offset "
                f"{known.committed}: workers have been here, and their state is gone.",
                anew,
            )
    for misfit in one.misfits:
        raise misfit.error()


async def _refuse_models(settings: Settings) -> None:
    for name in (MODEL_CUTS, TRAINING_EXAMPLES):
        topic = topic_name(name, settings)
        end = await log_end(settings, (topic, 0), stall_s=settings.restore_timeout_s)
        if end:
            raise StateError(f"{topic} holds {end:,} records already: a trainer has been at work.", _anew(settings))


def _anew(settings: Settings) -> str:
    names: Sequence[str] = ("ebbtide-changelog", MODEL_CUTS, TRAINING_EXAMPLES)
    return ANEW.format(topics=", ".join(topic_name(name, settings) for name in names), group=settings.group_id)


def ended(place: Place, **changes: object) -> PartitionRecord:
    """The record that makes a loaded partition count."""
    return msgspec.structs.replace(place.begun, loading=False, **changes)
