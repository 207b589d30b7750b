"""The arrows between the packages: import-linter's contracts, and an allow-list for the pure core."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from docs.make_reference import PAGE, reference
from tests.support.checkout import CHECKOUT, CORE, SOURCES, imports


def test_every_contract_of_import_linter_is_kept() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    ended = subprocess.run([linter, "--no-cache"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3_000:]


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_imports_only_the_standard_library_and_msgspec(path: Path) -> None:
    foreign = {
        name
        for name in imports(path)
        if name.partition(".")[0] not in sys.stdlib_module_names | {"msgspec"} and not name.startswith("streams.core")
    }
    assert not foreign


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_reads_no_clock_no_environment_and_no_random_numbers(path: Path) -> None:
    assert not imports(path) & {
        "time",
        "os",
        "random",
        "secrets",
        "socket",
        "subprocess",
        "threading",
        "asyncio",
        "uuid",
    }
    calls = {
        f"{node.func.value.id}.{node.func.attr}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
    }
    assert not calls & {"datetime.now", "datetime.today", "datetime.utcnow", "date.today"}


@pytest.mark.parametrize("word", ["utils", "util", "manager", "base", "handler", "helpers", "common", "misc"])
def test_no_module_is_named_after_nothing(word: str) -> None:
    assert not [path for path in SOURCES if word in path.stem.split("_")]


def test_every_module_says_what_it_is_for() -> None:
    assert not [
        str(path)
        for path in SOURCES
        if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]


def test_the_reference_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "write it anew with: make docs"
