"""Every target by name, and how many of a million inputs are its own."""

from __future__ import annotations

from typing import Any, Final

from tests.fuzz.events_target import Events
from tests.fuzz.loaders import loaders

SHARES: Final = {
    "events": 0.70,
    "profile": 0.08,
    "partition-record": 0.05,
    "cut": 0.02,
    "training-record": 0.06,
    "policy": 0.015,
    "settings": 0.015,
    "dead-letter": 0.05,
}


def target_of(name: str) -> Any:
    """A fresh target."""
    return Events() if name == "events" else loaders()[name]
