"""What the broker says that we may do with its topics, held against what we are about to do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from streams.access_list import Role, access_list
from streams.kafka_access import denied
from streams.settings import Settings


class Seen(Protocol):
    """A topic on the broker."""

    @property
    def name(self) -> str:
        """With prefix and suffix."""

    @property
    def allowed(self) -> frozenset[str] | None:
        """What we may do with it (``READ``, ``DESCRIBE_CONFIGS``); None where the broker does not say."""


def refuse_without(states: Iterable[Seen], role: Role, settings: Settings) -> None:
    """Raise :class:`AccessError` where Kafka does not let us do with a topic what a role has to."""
    by_name = {state.name: state for state in states}
    for entry in access_list(role, settings):
        if entry.name in by_name and not entry.prefixed:
            refuse_denied([by_name[entry.name]], entry.operation, settings)


def first_operations(roles: Iterable[Role], settings: Settings) -> dict[str, str]:
    """What each role does first with a topic or group: to be named where it may not even be seen."""
    found: dict[str, str] = {}
    for role in roles:
        for entry in access_list(role, settings):
            found.setdefault(entry.name, entry.operation)
    return found


def refuse_unreadable(states: Iterable[Seen], settings: Settings) -> None:
    """Raise :class:`AccessError` where Kafka does not let us read a topic that exists."""
    refuse_denied(states, "Read", settings)


def refuse_denied(states: Iterable[Seen], operation: str, settings: Settings) -> None:
    """Raise :class:`AccessError` where the broker says that we may not do something with a topic."""
    wanted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()
    for state in states:
        if state.allowed is not None and wanted not in state.allowed:
            raise denied(settings, operation, f"topic {state.name}")
