"""Stored profiles: the header, what is refused, what comes back."""

from __future__ import annotations

import pytest

from streams.core.errors import StateError
from streams.core.events import DAY_MS
from streams.core.fold import Fold
from streams.core.profile import decode_profile
from streams.core.state import Stage
from streams.core.stored_profile import HEADER_BYTES, SCHEMA, read_header, read_turns
from tests.support.partition_runs import COMPILED, HORIZON_DAYS, PartitionRun
from tests.support.scorers import FixedScorer
from tests.support.stored_states import STATES
from tests.support.worlds import START, click, purchase, search

FOLD = Fold(COMPILED, HORIZON_DAYS * DAY_MS)


def stored(writer: int = 0) -> bytes:
    """A customer with an open click."""
    run = PartitionRun(FixedScorer(0.4))
    run.feed(
        [
            purchase(START, event_id="a"),
            search(START + DAY_MS, event_id="b"),
            click(START + DAY_MS, action="cart", event_id="c"),
        ]
    )
    value = run.engine.encoded("u", writer)
    assert value is not None
    return value


def test_the_header_is_read_without_decoding() -> None:
    header = read_header(stored()[:HEADER_BYTES])
    assert (header.stage, header.tier, header.band) == (Stage.NEW_CUSTOMER, 1, 1)


def test_the_header_names_the_writer() -> None:
    assert read_header(stored(writer=2**64 - 1)).writer == 2**64 - 1


def test_the_header_names_the_policy() -> None:
    assert read_header(stored()).policy == COMPILED.fingerprint


def test_the_header_holds_the_next_deadline() -> None:
    value = stored()
    view = decode_profile("u", value, FOLD).view
    assert read_header(value).silence_at == view.next_at <= START + 8 * DAY_MS


def test_a_newer_schema_is_refused() -> None:
    value = bytearray(stored())
    value[1] = SCHEMA + 1
    with pytest.raises(StateError, match=f"version {SCHEMA + 1}, and this Ebbtide reads up to {SCHEMA}"):
        read_header(bytes(value))


def test_a_newer_schema_is_refused_at_the_restore() -> None:
    value = bytearray(stored())
    value[1] = SCHEMA + 1
    with pytest.raises(StateError, match="Start the newer Ebbtide again; or roll back"):
        PartitionRun().engine.restore("u", bytes(value))
    with pytest.raises(StateError, match="Start the newer Ebbtide again; or roll back"):
        PartitionRun().engine.restore_all([(b"u", bytes(value))])


@pytest.mark.parametrize("value", [b"", b"\xeb", b"not a profile at all, but long enough for a header", b"\0" * 100])
def test_foreign_bytes_are_refused_at_a_restore_in_bulk(value: bytes) -> None:
    with pytest.raises(StateError, match="not an Ebbtide profile"):
        read_turns([(b"u", value)], 0)


def test_a_stage_that_there_is_not_is_refused_at_a_restore_in_bulk() -> None:
    value = bytearray(stored())
    value[34] = 200
    with pytest.raises(StateError, match="it names stage 200"):
        read_turns([(b"u", bytes(value))], 0)


def test_no_headers_say_nothing() -> None:
    assert read_turns([], 0) == ((),) * 5


def test_many_headers_say_what_each_says() -> None:
    value = stored()
    header = read_header(value)
    assert read_turns([(b"u", value), (b"v", value)], header.policy) == (
        (b"u", b"v"),
        (header.silence_at,) * 2,
        (header.maturity_at,) * 2,
        (header.stage,) * 2,
        (),
    )


def test_many_headers_tell_those_of_another_policy() -> None:
    value = stored()
    assert read_turns([(b"u", value), (b"v", value)], read_header(value).policy ^ 1).other_policy == [0, 1]


def test_profiles_of_schema_1_are_read_among_many() -> None:
    old = (STATES / "profile-1.bin").read_bytes()
    header = read_header(old)
    turns = read_turns([(b"u", old)], header.policy)
    assert (turns.silence_at, turns.maturity_at) == ((header.silence_at,), (header.maturity_at,))


@pytest.mark.parametrize("value", [b"", b"\xeb", b"not a profile at all, but long enough for a header", b"\0" * 100])
def test_foreign_bytes_are_refused(value: bytes) -> None:
    with pytest.raises(StateError, match="not an Ebbtide profile"):
        decode_profile("u", value, FOLD)


def test_any_flipped_bit_behind_the_schema_is_refused() -> None:
    value = stored()
    for at in range(2, len(value)):
        tampered = bytearray(value)
        tampered[at] ^= 1 << at % 8
        with pytest.raises(StateError, match="damaged"):
            decode_profile("u", bytes(tampered), FOLD)


@pytest.mark.parametrize("kept", [HEADER_BYTES, HEADER_BYTES + 1, -1])
def test_truncated_bytes_are_refused(kept: int) -> None:
    with pytest.raises(StateError, match="damaged"):
        decode_profile("u", stored()[:kept], FOLD)


def test_an_error_names_no_user() -> None:
    with pytest.raises(StateError) as error:
        decode_profile("ada@example.org", stored()[:-1], FOLD)
    assert "ada" not in str(error.value)


def test_the_same_profile_has_the_same_bytes() -> None:
    assert stored() == stored()


def test_what_is_decoded_encodes_to_the_same_bytes() -> None:
    value = stored()
    assert decode_profile("u", value, FOLD).encode(0, COMPILED.fingerprint) == value


def test_an_unknown_user_has_no_value_and_no_portrait() -> None:
    engine = PartitionRun().engine
    assert (engine.encoded("nobody"), engine.portrait("nobody"), engine.settled("nobody")) == (None, None, None)


def test_a_busy_customer_stays_under_4_kb() -> None:
    run = PartitionRun(FixedScorer(0.4))
    run.feed(
        [
            event
            for day in range(0, 400, 6)
            for event in (click(START + day * DAY_MS, category=f"c{day % 20}"), purchase(START + day * DAY_MS + 1))
        ]
    )
    run.close(START + 400 * DAY_MS)
    assert len(run.store["u"]) < 4_096
