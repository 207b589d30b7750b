"""Nothing that is read can be executed: no module of Ebbtide can turn bytes into code or into objects of any class."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT, SOURCES, imports

DESERIALISERS = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "yaml",
    "jsonpickle",
}
EXECUTORS = {"eval", "exec", "compile", "__import__"}
UNPACKERS = {("np", "load"), ("numpy", "load"), ("pd", "read_pickle")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_no_module_can_execute_what_it_reads(path: Path) -> None:
    assert not {name.partition(".")[0] for name in imports(path)} & DESERIALISERS
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert not {call.id for call in calls if isinstance(call, ast.Name)} & EXECUTORS
    assert not UNPACKERS & {
        (call.value.id, call.attr)
        for call in calls
        if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name)
    }
