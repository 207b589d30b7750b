"""Stored state as this version writes it, kept for later ones: ``python -m tests.support.stored_states``.

Run it once after a version was raised and commit what it adds to ``tests/fixtures/states``. A file that is there is
never written again: it stands for what lies in somebody's changelog. What each must say when it is loaded is written by
hand in ``tests/unit/test_stored_states.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from models.scorecard import Scorecard
from models.snapshots import FORMAT as CUT_FORMAT
from models.snapshots import dumps
from streams.core.events import DAY_MS, HOUR_MS
from streams.core.stored_profile import SCHEMA as PROFILE_SCHEMA
from streams.live.log_identity import FORMAT as IDENTITY_FORMAT
from streams.live.log_identity import LogIdentity, encode_identity
from streams.live.partition_record import VERSION as RECORD_VERSION
from streams.live.partition_record import InputPosition, PartitionRecord, encode_record
from tests.support.partition_runs import PartitionRun
from tests.support.scorers import FixedScorer
from tests.support.training_logs import DAY, SPEC, START, cut_of, example, plain_loop
from tests.support.worlds import START as STORY
from tests.support.worlds import click, purchase, search

STATES: Final = Path(__file__).parents[1] / "fixtures" / "states"
WRITER: Final = 0x1122334455667788


def profile() -> bytes:
    """Ada: a visit, a first order of 10.00, a second of 25.50 a week later, and a cart that is still open."""
    run = PartitionRun(FixedScorer(0.4))
    run.feed(
        [
            click(STORY, "ada", event_id="seen", category="tea", offset=4),
            search(STORY + HOUR_MS, "ada", event_id="sought", category="tea", offset=1),
            purchase(STORY + 2 * HOUR_MS, "ada", order="first", event_id="bought", category="tea", offset=2),
            purchase(STORY + 7 * DAY_MS, "ada", price=25.5, order="second", event_id="again", offset=5),
            click(STORY + 7 * DAY_MS + 60_000, "ada", action="cart", event_id="carted", offset=9),
        ]
    )
    value = run.engine.encoded("ada", WRITER)
    assert value is not None
    return value


def partition_record() -> bytes:
    """A partition that was bootstrapped, whose clicks were once created anew, and where no search was ever read."""
    return encode_record(
        PartitionRecord(
            cluster_id="cluster",
            partitions=8,
            watermark=STORY + 7 * DAY_MS,
            newest=STORY + 7 * DAY_MS + 60_000,
            clock=STORY + 7 * DAY_MS,
            published=STORY + 8 * DAY_MS,
            portraits_from=812,
            inputs=(
                InputPosition(topic_id="clicks-id", epoch=1, next=10, newest=STORY + 7 * DAY_MS + 60_000),
                InputPosition(topic_id="searches-id"),
                InputPosition(topic_id="purchases-id", next=6, newest=STORY + 7 * DAY_MS),
            ),
            applied_until=STORY + 6 * DAY_MS,
            bootstrap="0123456789abcdef",
        )
    )


def store_identity() -> bytes:
    """Which log a local copy was made from."""
    return encode_identity(
        LogIdentity(changelog="changelog-id", cluster_id="cluster", partitions=8, inputs=("c", "s", "p"))
    )


def model_cut() -> bytes:
    """What was learned from sixty examples."""
    bodies = [example(number, START + number, schema=SPEC.schema) for number in range(60)]
    return dumps(cut_of(plain_loop(bodies, START + DAY), cold_start=True, scorecard=Scorecard().state()))


def main() -> None:
    """Add what is missing."""
    for name, content in (
        (f"profile-{PROFILE_SCHEMA}.bin", profile()),
        (f"partition-record-{RECORD_VERSION}.json", partition_record()),
        (f"store-identity-{IDENTITY_FORMAT}.json", store_identity()),
        (f"model-cut-{CUT_FORMAT}.json", model_cut()),
    ):
        path = STATES / name
        if not path.exists():
            path.write_bytes(content)
            print(f"added {path.relative_to(STATES.parents[2])}")


if __name__ == "__main__":
    main()
