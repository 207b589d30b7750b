"""A history that is backfilled and bootstrapped, and its whole log then read: as if all of it had been backfilled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.snapshots import model_hash
from streams import model_records
from streams.core.events import HOUR_MS, MINUTE_MS
from streams.replay.result_folder import MODEL, SUMMARY
from streams.replay.run_options import RunOptions
from tests.support.backfills import instant, shop_rows
from tests.support.going_on import gone_on, handed_over
from tests.support.offline_runs import PORTRAITS, Kept, ListedRows, run_offline
from tests.support.partition_runs import POLICY

ROWS = shop_rows(users=30, days=90)
HORIZON_DAYS = 4
MIDNIGHT = instant("2024-03-05")
END = instant("2024-03-20T05:30:00Z")
ENDS = {
    "midnight": MIDNIGHT,
    "before the cut of a midnight serves": MIDNIGHT + 30 * MINUTE_MS,
    "noon": MIDNIGHT + 12 * HOUR_MS,
    "before anything was learned": instant("2024-01-04T07:00:00Z"),
    "with the newest event": None,
}
OUTPUTS = ("segment-changes", "churn-risk", "purchase-propensity", "customer-value")


def options(until: int | None) -> RunOptions:
    return RunOptions(horizon_days=HORIZON_DAYS, policy=POLICY, until=until)


def rows_until(end: int | None) -> list[dict[str, Any]]:
    return [row for row in ROWS if row["ts"] <= (MIDNIGHT + 7 * HOUR_MS if end is None else end)]


def told(kept: Kept) -> list[tuple[str, int, bytes]]:
    return [output for output in kept.outputs if output[0] != PORTRAITS]


def portraits(kept: Kept) -> list[bytes]:
    return [line for topic, _, line in kept.outputs if topic == PORTRAITS]


@pytest.fixture(scope="module", autouse=True)
def quick_models() -> Iterator[pytest.MonkeyPatch]:
    """Models of a small shop serve from a few labels on."""
    known = model_records.head_specs
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            model_records, "head_specs", lambda *days: [replace(spec, min_labels=25) for spec in known(*days)]
        )
        yield patched


@pytest.fixture(scope="module")
def whole(quick_models: pytest.MonkeyPatch) -> Kept:
    return run_offline(ListedRows(ROWS), quick_models, min_labels=25, horizon_days=HORIZON_DAYS, until=END)


def test_the_shop_is_scored_by_models_before_and_after_the_bootstrap(whole: Kept) -> None:
    scored = [json.loads(line) for topic, _, line in told(whole) if topic == "churn-risk"]
    served = sorted(body["as_of"] for body in scored if body["probability"] is not None)
    assert (served[0] < "2024-03-01", served[-1] > "2024-03-10") == (True, True)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_all_is_as_if_the_whole_log_had_been_backfilled(
    end: int | None, whole: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = handed_over(ListedRows(rows_until(end)), options(end), tmp_path / "first")
    rest = gone_on(ROWS, first, options(END), monkeypatch)
    files = [tmp_path / "first" / f"{name}.jsonl" for name in OUTPUTS]
    said = {line for file in files for line in file.read_bytes().splitlines(keepends=True)}
    assert sorted(told(rest)) == sorted(output for output in told(whole) if output[2] not in said)
    assert said | {line for _, _, line in told(rest)} == {line for _, _, line in told(whole)}
    assert portraits(rest) == portraits(whole)
    assert rest.documents[SUMMARY]["hashes"]["profiles"] == whole.documents[SUMMARY]["hashes"]["profiles"]
    assert model_hash(rest.documents[MODEL]) == model_hash(whole.documents[MODEL])
