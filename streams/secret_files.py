"""Secrets: given in a setting, or better in a file that a setting names; never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from streams.core.errors import SettingsError
from streams.settings import PREFIX, Settings

MOST_BYTES: Final = 4_096


def secret(settings: Settings, name: str) -> str | None:
    """The secret of a setting or of the file that its twin ``<name>_file`` names; None where neither is set.

    Raises
    ------
    SettingsError
        Both are set, or the file cannot be read, is empty or is not one line of text. The message never quotes it.

    Examples
    --------
    >>> secret(Settings(http_token="correct horse battery"), "http_token")
    'correct horse battery'
    """
    given: str = getattr(settings, name)
    path: Path | None = getattr(settings, f"{name}_file")
    if given and path is not None:
        raise SettingsError(
            f"{name} and {name}_file are both set.", f"Leave one out; {PREFIX}{name.upper()}_FILE shows less."
        )
    if path is None:
        return given or None
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _unusable(name, path, f"it cannot be read ({error.strerror})") from error
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise _unusable(name, path, "it is not UTF-8 text") from None  # the error would quote it
    if not text or len(content) > MOST_BYTES or not text.isprintable():
        raise _unusable(name, path, "it is empty, too long, or more than one line")
    return text


def _unusable(name: str, path: Path, why: str) -> SettingsError:
    return SettingsError(f"{name}_file = {path} cannot be used: {why}.", "It must hold the secret alone, in one line.")
