"""``python -m streams.cli``: the program ``ebbtide``, for who starts it as a process of their own."""

from __future__ import annotations

from streams.cli import main

main()
