"""The ledger of redrives: what was decided about which letter, and whose turn it is. Pure; the log is somebody else's.

It is one partition, so all who read it see one order. A run says that it begins; it has the turn unless another has it
that has neither ended nor been silent for the lease. Every record of the holder is a sign of life. Before a letter is
sent the ledger says so, and after the acknowledgement once more: what stands between the two is looked up in the input
itself by the next run.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, NamedTuple

from streams import codec
from streams.replay.letters import Standing

RUN_PREFIX: Final = b"\x00run/"
"""Before the keys of runs; no letter's id begins so."""


class Said(StrEnum):
    """What a record of the ledger says."""

    BEGAN = "began"
    ENDED = "ended"
    SENDING = "sending"
    SENT = "sent"
    DROPPED = "dropped"


class Target(NamedTuple):
    """Where a letter was to be sent: input without prefix, partition, and an offset that it cannot be below."""

    topic: str
    partition: int
    not_below: int


class Holder(NamedTuple):
    """The run that has the turn, and when it was last heard of, ms."""

    run: str
    heard_ms: int


_DONE: Final[dict[str, Standing]] = {Said.SENT: Standing.REDRIVEN, Said.DROPPED: Standing.DROPPED}


class Ledger:
    """The ledger as far as it was read.

    Parameters
    ----------
    lease_ms
        A holder without a sign of life for this long has lost the turn to the next that begins.

    Examples
    --------
    >>> ledger = Ledger(lease_ms=60_000)
    >>> ledger.read(*run_record("a", Said.BEGAN), at_ms=1_000)
    >>> ledger.read(*run_record("b", Said.BEGAN), at_ms=2_000)
    >>> ledger.holder
    Holder(run='a', heard_ms=1000)
    """

    def __init__(self, lease_ms: int) -> None:
        self.lease_ms = lease_ms
        self.holder: Holder | None = None
        self.unsure: dict[str, Target] = {}
        """Letters of which it is not known whether they were sent."""
        self._done: dict[str, Standing] = {}

    def read(self, key: bytes | None, value: bytes | None, *, at_ms: int) -> None:
        """Take the next record of the ledger; what makes no sense is passed over. ``at_ms``: its Kafka timestamp."""
        body = _body(value)
        said, run = body.get("state"), body.get("run")
        if key is None:
            return
        if key.startswith(RUN_PREFIX):
            if isinstance(run, str):
                self._turn(run, said, at_ms)
            return
        if self.holder is not None and run == self.holder.run:
            self.holder = Holder(self.holder.run, max(at_ms, self.holder.heard_ms))
        self._decide(key.decode(errors="replace"), said, body)

    def standing(self, letter_id: str) -> Standing | None:
        """What was decided about a letter; None where nothing was."""
        return Standing.UNSURE if letter_id in self.unsure else self._done.get(letter_id)

    def decided(self) -> set[str]:
        """Ids of all letters that it speaks of."""
        return {*self._done, *self.unsure}

    def _turn(self, run: str, said: object, at_ms: int) -> None:
        holder = self.holder
        if said == Said.BEGAN:
            if holder is None or holder.run == run or at_ms - holder.heard_ms >= self.lease_ms:
                self.holder = Holder(run, at_ms)
        elif said == Said.ENDED and holder is not None and holder.run == run:
            self.holder = None

    def _decide(self, letter_id: str, said: object, body: dict[str, Any]) -> None:
        self.unsure.pop(letter_id, None)
        self._done.pop(letter_id, None)
        if said == Said.SENDING:
            topic, partition, not_below = body.get("topic"), body.get("partition"), body.get("not_below")
            if isinstance(topic, str) and isinstance(partition, int) and isinstance(not_below, int):
                self.unsure[letter_id] = Target(topic, partition, not_below)
        elif isinstance(said, str) and said in _DONE:
            self._done[letter_id] = _DONE[said]


def run_record(run: str, said: Said) -> tuple[bytes, bytes]:
    """Key and value that say a run begins or has ended."""
    return RUN_PREFIX + run.encode(), codec.encode({"state": said, "run": run})


def decision_record(run: str, letter_id: str, said: Said, target: Target | None = None) -> tuple[bytes, bytes]:
    """Key and value that say what is done with a letter.

    >>> decision_record("a", "clicks-0-7-1a2b3c4d", Said.SENT)
    (b'clicks-0-7-1a2b3c4d', b'{"state":"sent","run":"a"}')
    """
    body: dict[str, Any] = {"state": said, "run": run}
    if target is not None:
        body |= target._asdict()
    return letter_id.encode(), codec.encode(body)


def _body(value: bytes | None) -> dict[str, Any]:
    try:
        body = {} if value is None else codec.decode(value)
    except codec.CodecError:
        return {}
    return body if isinstance(body, dict) else {}
