"""This checkout as the tests of architecture and packaging look at it."""

from __future__ import annotations

import ast
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CORE = sorted((CHECKOUT / "streams" / "core").rglob("*.py"))
SOURCES = sorted([*(CHECKOUT / "streams").rglob("*.py"), *(CHECKOUT / "models").rglob("*.py")])


def imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found
