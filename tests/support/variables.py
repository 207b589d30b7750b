"""Settings as the environment of a command."""

from __future__ import annotations

from dataclasses import fields

from streams.settings import PREFIX, Settings


def variables(settings: Settings) -> dict[str, str]:
    """The variables that give a command these settings: all that differ from the defaults.

    >>> variables(Settings(partitions=4))
    {'EBBTIDE_PARTITIONS': '4'}
    """
    defaults = Settings()
    given = {one.name: getattr(settings, one.name) for one in fields(settings)}
    return {
        f"{PREFIX}{name.upper()}": str(value)
        for name, value in given.items()
        if value is not None and value != getattr(defaults, name)
    }
