"""What one setting may be: its rule, and values from text and TOML judged by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streams.core.errors import SettingsError

_TRUE_OR_FALSE: Final = {
    "1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """What one setting means and allows: the entry of the catalogue behind a field of ``Settings``.

    >>> Rule("how many", kind="int", at_least=1).from_text("3", "EBBTIDE_COPIES")
    3
    """

    meaning: str
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    choices: tuple[str, ...] = ()
    test: Callable[[Any], bool] = lambda value: True
    allowed: str = ""
    """What ``test`` lets pass, in words."""
    secret: bool = False
    """Never shown: not by ``repr``, not in an error."""
    kind: str = ""
    """The type as the field spells it."""

    def from_text(self, text: str, where: str) -> Any:
        """The value that a variable holds; SettingsError where it is none of this kind."""
        if self.secret:
            return text
        text = text.strip()
        if self.kind == "bool":
            if text.lower() not in _TRUE_OR_FALSE:
                raise _bad(where, text, "true or false")
            return _TRUE_OR_FALSE[text.lower()]
        if self.kind in ("int", "float"):
            try:
                return int(text) if self.kind == "int" else float(text)
            except ValueError:
                raise _bad(where, text, self.in_words) from None
        return self._path(text, where) if self.kind.startswith("Path") else text

    def from_toml(self, value: Any, where: str) -> Any:
        """The value that a settings file holds; SettingsError where it is none of this kind."""
        fits = {
            "bool": isinstance(value, bool),
            "int": isinstance(value, int) and not isinstance(value, bool),
            "float": isinstance(value, int | float) and not isinstance(value, bool),
        }.get(self.kind, isinstance(value, str))
        if not fits:
            raise _bad(where, self._shown(value), self.in_words)
        if self.kind == "float":
            return float(value)
        return self._path(value, where) if self.kind.startswith("Path") else value

    def judge(self, value: Any, where: str) -> None:
        """Raise SettingsError where a value is not allowed."""
        below = self.at_least is not None and not value >= self.at_least  # written so that NaN is below
        above = self.at_most is not None and value > self.at_most
        outside = bool(self.choices) and value not in self.choices
        if below or above or outside or not self.test(value):
            raise _bad(where, self._shown(value), self.in_words)

    @property
    def in_words(self) -> str:
        """What is allowed, for messages."""
        if self.choices:
            return " or ".join(self.choices)
        if self.allowed:
            return self.allowed
        kind = {"int": "a whole number", "float": "a number", "bool": "true or false"}.get(self.kind, "text")
        if self.at_least is None:
            return kind
        if self.at_most is None:
            return f"{kind}, {self.at_least:g} or more"
        return f"{kind} from {self.at_least:.15g} to {self.at_most:.15g}"

    def _path(self, text: str, where: str) -> Path | None:
        if text:
            return Path(text)
        if "None" in self.kind:
            return None
        raise _bad(where, text, "a path")

    def _shown(self, value: Any) -> Any:
        return _Hidden() if self.secret else value


class _Hidden:
    """Stands where a secret was."""

    def __repr__(self) -> str:
        return "(not shown)"


def _bad(where: str, value: Any, allowed: str) -> SettingsError:
    return SettingsError(f"{where} = {value!r} is not allowed.", f"Allowed: {allowed}.")
