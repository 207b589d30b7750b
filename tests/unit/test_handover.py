"""What a finished run hands over: written, read back, and refused where it is not what was written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.core.errors import InputFileError, OutputFolderError
from streams.core.events import DAY_MS
from streams.core.fold import Fold
from streams.core.handed_profile import waiting_scores, with_applied_until, with_seq
from streams.core.instants import format_instant
from streams.core.profile import decode_profile
from streams.core.stored_profile import read_header, unpack_profile
from streams.live.accounts import waiting_in
from streams.replay.handed_over import HandedOver
from streams.replay.handover import DOCUMENT, FOLDER, MODEL_CUTS, PROFILES
from streams.replay.result_folder import PROFILES as PORTRAITS
from streams.replay.run_options import RunOptions
from tests.support.backfills import instant, shop_rows
from tests.support.going_on import handed_over
from tests.support.offline_runs import ListedRows
from tests.support.partition_runs import COMPILED, POLICY

UNTIL = instant("2024-02-10T12:00:00Z")
ROWS = [row for row in shop_rows(users=12, days=45) if row["ts"] <= UNTIL]
FOLD = Fold(COMPILED, 4 * DAY_MS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("handover") / "out"
    handed_over(ListedRows(ROWS), RunOptions(horizon_days=4, policy=POLICY, until=UNTIL), place)
    return place


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    import shutil

    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def spoil(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_everybody_comes_back_with_the_portrait_of_the_results(folder: Path) -> None:
    lines = (folder / PORTRAITS).read_bytes().splitlines()
    found = list(HandedOver(folder).profiles())
    assert [one.line for one in found if one.portrait is not None] == lines
    assert {one.key.decode() for one in found} == {row["user_id"] for row in ROWS}


def test_a_profile_says_through_which_instant_it_was_brought(folder: Path) -> None:
    one = next(HandedOver(folder).profiles())
    assert decode_profile(one.key.decode(), one.value, FOLD).applied_until == UNTIL


def test_scores_that_wait_are_counted_as_decoding_the_profile_would(folder: Path) -> None:
    for one in HandedOver(folder).profiles():
        assert waiting_in(one.key, one.value) == {"churn": one.churn, "propensity": one.propensity}


def test_what_waits_in_all_profiles_is_what_the_tally_says(folder: Path) -> None:
    handed = HandedOver(folder)
    churn = handed.document.tally["churn"]
    waits = sum(one.churn for one in handed.profiles())
    assert waits == churn["opened"] - sum(count for state, count in churn.items() if state != "opened") > 0


def test_the_cut_that_ends_the_run_at_noon_is_left_out(folder: Path) -> None:
    days = list(HandedOver(folder).cuts())
    assert json.loads((folder / "model.json").read_bytes())["day"] == UNTIL
    assert max(record["day"] for record in days) == instant("2024-02-10")


def test_examples_are_those_the_last_cut_has_not_learned(folder: Path) -> None:
    handed = HandedOver(folder)
    learned = max(record["day"] for record in handed.cuts() if record["type"] == "cut")
    lines = (folder / "training-examples.jsonl").read_bytes().splitlines()
    wanted = [body for body in map(json.loads, lines) if body["label_at"] > format_instant(learned)]
    assert list(handed.examples()) == wanted != []


def test_the_same_run_has_the_same_id(folder: Path, tmp_path: Path) -> None:
    again = handed_over(ListedRows(ROWS), RunOptions(horizon_days=4, policy=POLICY, until=UNTIL), tmp_path / "again")
    assert again.id == HandedOver(folder).id


@pytest.mark.parametrize("name", [PROFILES, MODEL_CUTS])
def test_a_file_that_was_cut_off_is_refused(copy: Path, name: str) -> None:
    spoil(copy / FOLDER / name, lambda raw: raw[:-20])
    with pytest.raises(InputFileError, match="cut off|damaged"):
        [*HandedOver(copy).profiles(), *HandedOver(copy).cuts()]


def test_a_file_of_another_run_is_refused(copy: Path) -> None:
    import zstandard

    raw = zstandard.ZstdDecompressor().stream_reader((copy / FOLDER / MODEL_CUTS).read_bytes()).read()
    (copy / FOLDER / MODEL_CUTS).write_bytes(zstandard.compress(raw.splitlines(keepends=True)[0]))
    with pytest.raises(InputFileError, match="not what was written"):
        list(HandedOver(copy).cuts())


def test_portraits_in_another_order_are_refused(copy: Path) -> None:
    spoil(copy / PORTRAITS, lambda raw: b"".join(reversed(raw.splitlines(keepends=True))))
    with pytest.raises(InputFileError, match="is not where it was written"):
        list(HandedOver(copy).profiles())


def test_a_portrait_too_many_is_refused(copy: Path) -> None:
    spoil(copy / PORTRAITS, lambda raw: raw + raw.splitlines(keepends=True)[0])
    with pytest.raises(InputFileError, match="are not of the 12 users"):
        list(HandedOver(copy).profiles())


def test_a_result_without_a_hand_over_is_explained(copy: Path) -> None:
    (copy / FOLDER / DOCUMENT).unlink()
    with pytest.raises(OutputFolderError, match="hands nothing over") as caught:
        HandedOver(copy)
    assert "run the backfill again" in caught.value.hint


def test_a_folder_that_is_no_result_is_explained(tmp_path: Path) -> None:
    with pytest.raises(OutputFolderError, match="is not a finished backfill"):
        HandedOver(tmp_path)


def test_a_newer_hand_over_is_refused_with_both_formats(copy: Path) -> None:
    spoil(copy / FOLDER / DOCUMENT, lambda raw: raw.replace(b'"format":1', b'"format":2'))
    with pytest.raises(InputFileError, match="has format 2, and this Ebbtide reads up to 1"):
        HandedOver(copy)


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"format":1}', b"\xff"])
def test_a_damaged_document_is_explained(copy: Path, raw: bytes) -> None:
    (copy / FOLDER / DOCUMENT).write_bytes(raw)
    with pytest.raises(InputFileError, match="cannot be read"):
        HandedOver(copy)


class TestProfilesOnTheirWay:
    @pytest.fixture
    def value(self, folder: Path) -> bytes:
        return next(HandedOver(folder).profiles()).value

    def test_patched_bytes_are_those_that_encoding_gives(self, value: bytes) -> None:
        profile = decode_profile("u0", value, FOLD)
        policy = read_header(value).policy
        profile.applied_until = -1
        plain = profile.encode(0, policy)
        profile.applied_until = 77
        assert with_applied_until(plain, 77) == profile.encode(0, policy)

    def test_one_that_was_brought_before_is_no_plain_one(self, value: bytes) -> None:
        with pytest.raises(ValueError, match="says through which instant it was brought"):
            with_applied_until(value, 5)

    def test_another_sequence_number_changes_nothing_else(self, value: bytes) -> None:
        raised = with_seq(value, 4_711)
        before = unpack_profile(value).delivery.seq
        assert unpack_profile(raised).delivery.seq == 4_711
        assert with_seq(raised, before) == value

    def test_waiting_scores_of_what_is_no_profile_are_not_counted(self) -> None:
        from streams.core.errors import StateError

        with pytest.raises(StateError, match="damaged"):
            waiting_scores(b"\xeb\x02" + b"x" * 60)
