"""Sizes of deployments, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.settings import Settings
from tests.bench.scale_plan import workers_for
from tests.bench.sizing import MB, Costs, Load, sized

COSTS = Costs(
    capacity_per_s=40_000.0,
    base_mb=100.0,
    queued=200.0,
    decoded=5_000.0,
    stored=600.0,
    written=800.0,
    told_per_event=450.0,
    restored_per_s=50_000.0,
)
LOAD = Load(events_per_s=100_000, users=10_000_000)
SETTINGS = Settings(cache_profiles=200_000, fetch_bytes=8 * MB, partitions=8)


def test_workers_are_given_half_of_their_capacity() -> None:
    # 100,000 ÷ 40,000 = 2.5
    assert sized(LOAD, COSTS, SETTINGS).workers == 5


def test_there_are_two_workers_at_least() -> None:
    assert sized(Load(1, 10), COSTS, SETTINGS).workers == 2


def test_partitions_leave_room_to_grow_fourfold() -> None:
    # 4 × 5 = 20, and the next power of two
    assert sized(LOAD, COSTS, SETTINGS).partitions == 32


def test_there_are_no_fewer_partitions_than_the_default() -> None:
    assert sized(Load(1, 10), COSTS, replace(SETTINGS, partitions=12)).partitions == 12


def test_memory_is_that_of_an_empty_worker_deadlines_cache_and_fetches() -> None:
    # 2,000,000 users of a worker × 200 B; 200,000 of them cached; 6.4 partitions × 2 fetches of 8 MB
    expected = 100 + (2e6 * 200 + 200_000 * 5_000) / MB + 6.4 * 2 * 8
    assert sized(LOAD, COSTS, SETTINGS).memory_mb == pytest.approx(expected)


def test_no_more_users_are_cached_than_there_are() -> None:
    # 50,000 users of each of two workers; 4 partitions × 2 fetches of 8 MB
    expected = 100 + 50_000 * (200 + 5_000) / MB + 4 * 2 * 8
    assert sized(Load(1, 100_000), COSTS, SETTINGS).memory_mb == pytest.approx(expected)


def test_the_disk_holds_the_store_twice_while_it_compacts() -> None:
    assert sized(LOAD, COSTS, SETTINGS).disk_mb == pytest.approx(2 * 2e6 * 600 / MB)


def test_the_changelog_keeps_an_hour_of_changes_beside_every_profile() -> None:
    assert sized(LOAD, COSTS, SETTINGS).changelog_mb == pytest.approx((1e7 * 600 + 1e5 * 800 * 3_600) / MB)


def test_brokers_are_sent_a_profile_and_outputs_for_every_event() -> None:
    assert sized(LOAD, COSTS, SETTINGS).sent_mb_per_s == pytest.approx(1e5 * (800 + 450) / MB)


def test_a_worker_restores_its_own_users() -> None:
    assert sized(LOAD, COSTS, SETTINGS).restore_s == pytest.approx(2e6 / 50_000)


def test_more_workers_are_needed_where_each_doubling_makes_events_dearer() -> None:
    # n = 4 × 1.25 ** log2(n): 4 whole workers pay for what 7.73 do
    whole, grown = workers_for(80_000, 20_000.0, 1.25, busy=1.0)
    assert (whole, grown) == (4, 8)
