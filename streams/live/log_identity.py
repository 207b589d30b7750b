"""Which log a local copy was made from: kept in a small file beside it, and compared before the copy is continued."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from streams.core import migrations

FORMAT: Final = 2


class LogIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """A changelog, and what its state was made from.

    Topic ids are Kafka's: another one each time a topic is created. What a copy of an older version did not know is
    empty, and is not held against it.
    """

    changelog: str
    """Topic id of the changelog."""
    cluster_id: str = ""
    partitions: int = 0
    inputs: tuple[str, ...] = ()
    """Topic ids of the inputs, in the order of the catalogue."""
    format: int = FORMAT

    def differences(self, other: LogIdentity) -> list[str]:
        """What of another identity is not this one, in words."""
        compared = (
            ("changelog", self.changelog, other.changelog),
            ("Kafka cluster", self.cluster_id, other.cluster_id),
            ("partition count", self.partitions, other.partitions),
            ("input topics", self.inputs, other.inputs),
        )
        return [f"another {name}" for name, ours, theirs in compared if ours and theirs and ours != theirs]

    def outlived(self, copy: LogIdentity) -> bool:
        """Whether a copy's changelog is gone while all else is as it was: its state is more than we have."""
        return bool(copy.inputs) and self.differences(copy) == ["another changelog"]


def encode_identity(identity: LogIdentity) -> bytes:
    """As it is stored, one line of JSON."""
    return msgspec.json.encode(identity) + b"\n"


def decode_identity(raw: bytes) -> LogIdentity:
    """Read a stored identity of this version or an older one.

    Raises
    ------
    StateError
        It is of a newer version.
    ValueError
        It is none.
    """
    stored: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
    version = msgspec.convert(stored.get("format"), int)
    what = "The identity of the local copy"
    return msgspec.convert(migrations.migrated(stored, version, FORMAT, migrations.STORE_IDENTITY, what), LogIdentity)
