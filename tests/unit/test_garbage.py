"""What the collector is told: seldom, and past what was restored. In a process of its own, as it is the process's."""

from __future__ import annotations

import subprocess
import sys

import pytest

SET_ASIDE = """
import gc, weakref
from streams.garbage import collect_seldom, set_restored_aside

class Owner: pass
owner = Owner(); owner.itself = owner
gone = weakref.ref(owner)
"""


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", SET_ASIDE + program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_was_restored_is_looked_at_no_more() -> None:
    assert run("set_restored_aside(); print(any(one is owner for one in gc.get_objects()))") == "False"


@pytest.mark.parametrize(("again", "freed"), [("pass", "False"), ("set_restored_aside()", "True")])
def test_a_partition_taken_away_is_freed_when_the_next_were_restored(again: str, freed: str) -> None:
    assert run(f"set_restored_aside(); del owner; gc.collect(); {again}; print(gone() is None)") == freed


def test_it_looks_seldom() -> None:
    assert run("collect_seldom(); print(gc.get_threshold()[0] >= 10_000, gc.isenabled())") == "True True"
