"""Writes docs/reference.md from the catalogues in the code: ``make docs``. A test fails while the two differ."""

from __future__ import annotations

from pathlib import Path

from streams.metrics.catalogue import metrics_table
from streams.settings import settings_table
from streams.topics import topics_table

PAGE = Path(__file__).resolve().parent / "reference.md"


def reference() -> str:
    """The whole page."""
    return f"""# Reference

Written by `make docs` from the catalogues in the code; do not edit it.

## Settings

`EBBTIDE_*` variables stand over `ebbtide.toml` in the working folder (one `name = value` a line), which stands over the
defaults. An unknown name or a bad value stops the start with what is allowed.

{settings_table()}
## Topics

Names on the broker begin with `topic_prefix`. `ebbtide topics --create` makes what is missing; workers check at start.
`partitions` and `..._days` are the settings above.

{topics_table()}
## Metrics

On `/metrics` of every worker, beside `/healthz` (alive) and `/readyz` (ready).

{metrics_table()}"""


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
