"""What the engine benchmark measures is the whole job: it comes to what a backfill of the same log comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from streams.codec import decode
from tests.bench.reference_logs import W1, rows, written
from tests.bench.stages import OF_A_WORKER, Made, StageClock, Stages, arrivals, arrived
from tests.support.backfills import Ran, backfill

# The smallest in which enough is learned to serve probabilities.
LOG = W1.scaled(12_000)


class Kept(Made):
    """Keeps what was encoded, too."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: dict[str, list[dict[str, Any]]] = {}

    def add(self, what: str, lines: Sequence[bytes]) -> None:
        super().add(what, lines)
        if what != "profiles":
            self.bodies.setdefault(what, []).extend(map(decode, lines))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(LOG, tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def ran(log: Path) -> Ran:
    return backfill([log], log.parent / "backfilled")


@pytest.fixture(scope="module")
def stages(log: Path) -> Stages:
    made = Stages(StageClock())
    made.made = Kept()
    made.run(arrivals(log))
    return made


def bodies(stages: Stages, what: str) -> list[dict[str, Any]]:
    assert isinstance(stages.made, Kept)
    return stages.made.bodies[what]


def ids(messages: Sequence[dict[str, Any]]) -> set[str]:
    return {message["id"] for message in messages}


def test_the_stages_tell_what_a_backfill_tells(stages: Stages, ran: Ran) -> None:
    of_backfill = [
        message
        for name in ("segment-changes", "churn-risk", "purchase-propensity", "customer-value", "late-events")
        for message in ran.lines(name)
    ]
    assert ids(bodies(stages, "outputs")) == ids(of_backfill)


def test_scores_in_the_stages_are_served_by_a_model_that_has_learned(stages: Stages) -> None:
    assert any(message.get("probability") is not None for message in bodies(stages, "outputs"))


def test_the_stages_make_the_examples_of_a_backfill(stages: Stages, ran: Ran) -> None:
    assert ids(bodies(stages, "examples")) == ids(list(ran.lines("training-examples")))


def test_the_stages_portray_everybody_as_a_backfill_does(stages: Stages, ran: Ran) -> None:
    assert ids(bodies(stages, "portraits")) == ids(list(ran.profiles().values()))


def test_a_small_cache_changes_nothing_but_time(tmp_path: Path) -> None:
    path = written(W1.scaled(2_000), tmp_path)
    small, large = Stages(StageClock(), cache_profiles=20), Stages(StageClock())
    small.run(arrivals(path))
    large.run(arrivals(path))
    assert small.store == large.store


def test_every_stage_is_charged_something(stages: Stages) -> None:
    assert all(stages.clock.seconds[stage] > 0 for stage in (*OF_A_WORKER, "trainer"))


def test_a_record_does_not_say_which_topic_it_came_in_by() -> None:
    (row,) = [row for row, _ in zip(rows(LOG), range(1), strict=False)]
    kind, value = arrived(b'{"event_type":"' + row["event_type"].encode() + b'","user_id":"ann"}\n')
    assert (kind, decode(value)) == (("click", "search", "purchase").index(row["event_type"]), {"user_id": "ann"})


def test_a_stage_is_charged_the_time_since_another_one_ended() -> None:
    instants = iter([0.0, 1.0, 5.0, 7.0, 7.5])
    clock = StageClock(lambda: next(instants))
    clock.ended("decode")
    clock.begin()
    clock.ended("clean")
    clock.ended("decode")
    assert clock.seconds == {"decode": 1.5, "clean": 2.0}


def test_what_was_made_is_counted_and_weighed() -> None:
    made = Made()
    made.add("outputs", [b"12", b"345"])
    assert (made.counts, made.sizes) == (Counter(outputs=2), Counter(outputs=5))
