"""``python -m streams.cli``: the program ``ebbtide`` where only an interpreter is at hand, as in the demo's children."""

from __future__ import annotations

from streams.cli import main

main()
