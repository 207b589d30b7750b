"""Python's cyclic garbage collector in workers and backfills: it looks seldom, and not at what was restored.

Nearly everything here is freed by reference counts. The collector looks for cycles whenever 700 objects more were made
than freed, and a slice makes many thousands that live until it has taken effect: with its defaults it took a quarter of
the shell's CPU (9 of 34 µs per event) and stood still for 0.2 s at a time, once over all profiles that are held. A
backfill, which holds everybody, spent a quarter of its CPU on it with 30,000 users.
"""

from __future__ import annotations

import gc
from typing import Final

SELDOM: Final = (50_000, 50, 20)
"""Objects made and not freed before the young are looked at; how many such looks before the older are, and the oldest.

A look at 50,000 young objects takes about 5 ms. A slice while live makes fewer, so it is over before it is looked at.
"""


def collect_seldom() -> None:
    """From now on, in this process."""
    gc.set_threshold(*SELDOM)


def set_restored_aside() -> None:
    """What is there now stays: leave it out of every later look.

    Partitions taken away since the last time leave cycles among what was set aside then: those are freed first.
    """
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
    gc.freeze()
