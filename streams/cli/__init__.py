"""The program ``ebbtide``: what a person types, and what they read back."""

from __future__ import annotations

from streams.cli.app import main

__all__ = ["main"]
