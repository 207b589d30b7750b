"""Reads policy files: the one that ships with Ebbtide, or a shop's own."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from streams.core.errors import PolicyError
from streams.core.policy import Policy, parse_policy

DEFAULT_NAME = "default.toml"


def default_text() -> str:
    """The default policy with its comments."""
    return files("streams.policies").joinpath(DEFAULT_NAME).read_text(encoding="utf-8")


def read_policy(path: Path | None) -> Policy:
    """The policy of a file; the default one without.

    Raises
    ------
    PolicyError
        The file cannot be read, or does not hold together.
    """
    if path is None:
        return parse_policy(default_text(), DEFAULT_NAME)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PolicyError(f"{path} cannot be read: {why}.", "Give a TOML file; see `ebbtide policy show`.") from error
    return parse_policy(text, str(path))
