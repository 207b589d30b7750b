"""Any bytes may arrive: decode → clean → engine accounts for every record, and every loader refuses in its own words.

The same targets as `make fuzz`, a thousandth of its inputs, without the fuzzer.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.events_target import Events
from tests.fuzz.loaders import bytes_mutation, loaders
from tests.fuzz.partition_under_fire import PartitionUnderFire
from tests.fuzz.records import RARE_STEPS_MS, STEPS_MS, mutated, seeds, unlayout

VALUES = st.none() | st.binary(max_size=40) | st.integers(0, 2**32).map(lambda seed: bodied(random.Random(seed)))
RECORDS = st.tuples(st.integers(0, 2), VALUES, st.sampled_from(STEPS_MS + RARE_STEPS_MS), st.booleans())


def bodied(choose: random.Random) -> bytes:
    """A record a few changes away from what a producer sends."""
    data = choose.choice(seeds())
    for _ in range(choose.randrange(4)):
        data = mutated(data, choose) or data
    return unlayout(data)[4]


@settings(max_examples=60)
@given(st.lists(RECORDS, max_size=24))
def test_every_record_is_accepted_a_duplicate_or_rejected_with_a_reason(
    records: list[tuple[int, bytes | None, int, bool]],
) -> None:
    world = PartitionUnderFire()
    for kind, value, step_ms, at_once in records:
        world.feed(kind, value, step_ms=step_ms, at_once=at_once)
    world.apply()
    world.restart()
    assert sum(world.outcomes.values()) == world.read == len(records)


def test_a_long_run_of_mutated_records_is_accounted_for() -> None:
    target, choose = Events(), random.Random(20)
    pool = target.seeds()
    for _ in range(2_000):
        data = target.mutate(choose.choice(pool), choose)
        if data is not None:
            target.run(data)
            if len(pool) < 200:
                pool.append(data)
    target.finish()
    assert sum(target.outcomes.values()) == target.world.read
    assert target.outcomes["accepted"] > 200
    assert target.outcomes["duplicate"] > 10


@pytest.mark.parametrize("name", sorted(loaders()))
def test_a_loader_takes_or_refuses_tampered_bytes_and_never_fails_otherwise(name: str) -> None:
    loader, choose = loaders()[name], random.Random(name)
    stored = loader.seeds()
    for data in stored:
        loader.run(data)
    for _ in range(250):
        data = choose.choice(stored)
        changed = None if loader.mutate is bytes_mutation else loader.mutate(data, choose)
        loader.run(_flipped(data, choose) if changed is None else changed)
    assert sum(loader.outcomes.values()) == 250 + len(stored)


def _flipped(data: bytes, choose: random.Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(choose.randrange(1, 4)):
        if flipped:
            flipped[choose.randrange(len(flipped))] = choose.randrange(256)
    return (
        bytes(flipped[: choose.randrange(1, len(flipped) + 1)]) if flipped and choose.random() < 0.2 else bytes(flipped)
    )
