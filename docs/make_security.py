"""Writes the access lists of SECURITY.md from the catalogue of topics: ``make docs``; a test holds the page to it."""

from __future__ import annotations

from pathlib import Path

from streams.access_list import access_table
from streams.settings import Settings

PAGE = Path(__file__).resolve().parents[1] / "SECURITY.md"
BEGIN, END = "<!-- access lists: written by make docs -->\n", "<!-- end of access lists -->\n"


def with_lists(page: str) -> str:
    """The page with the lists of today between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{access_table(Settings())}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_lists(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
