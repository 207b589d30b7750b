"""How stored bytes are tampered with: one value of the tree inside is replaced, dropped, doubled or moved."""

from __future__ import annotations

import random
from typing import Any, Final

ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 7, 255, 2**31, 2**53, 2**63 - 1, -(2**63), 10**30, 0.0, -0.5, 1e300, 1e-300),
    *(float("nan"), float("inf"), "", "x", "none", "\x00", "é" * 40, "2024-01-01T00:00:00Z", "AAAA", "cut", [], {}),
    *([[]], [0] * 25, [None], {"a": 1}, {"0": [1, 2]}, [1, "x"]),
)


def tampered(tree: Any, choose: random.Random) -> Any:
    """The tree with one of its values changed; the tree itself is changed too.

    >>> tampered([1], random.Random(5)) == [1]
    False
    """
    places = _places(tree)
    if not places:
        return ODD[int(choose.random() * len(ODD))]
    holder, key = places[int(choose.random() * len(places))]
    dice = choose.random()
    if dice < 0.2 and isinstance(holder, list):
        holder.insert(int(key), holder[key])
    elif dice < 0.35:
        del holder[key]
    elif dice < 0.5:
        other, of = places[int(choose.random() * len(places))]
        holder[key] = other[of] if not isinstance(other[of], list | dict) else len(other[of])
    elif dice < 0.7 and isinstance(holder[key], int | float) and holder[key] == holder[key]:
        holder[key] = holder[key] + ODD[4 + int(choose.random() * 6)]
    else:
        holder[key] = ODD[int(choose.random() * len(ODD))]
    return tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting and len(found) < 2_000:
        node = waiting.pop()
        if isinstance(node, dict):
            children: list[tuple[Any, Any]] = list(node.items())
        elif isinstance(node, list):
            # Long runs of alike values are one place in many: the first few stand for them.
            children = list(enumerate(node[:40]))
        else:
            continue
        for key, child in children:
            found.append((node, key))
            if isinstance(child, list | dict):
                waiting.append(child)
    return found
