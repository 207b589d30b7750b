"""A flame graph: how CPU is shared out among functions and what they call, as one SVG picture without scripts.

Brendan Gregg, "The Flame Graph", Communications of the ACM 59(6), 2016. A box is a function, as wide as its share of
the samples; below it is what called it, above it what it called. Boxes side by side are sorted by name: left and right
mean nothing. Hovering over a box tells its share.

    python -m tests.bench.flamegraph --out docs/performance.svg
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench import stages
from tests.bench.reference_logs import W1, written
from tests.bench.sampling import Stack, module_of, sampled
from tests.bench.worker_stacks import sampled_worker

WIDTH: Final = 1_200
ROW: Final = 17
TITLE: Final = 34
CHARACTER: Final = 6.6
"""Width of a character of the 11 px monospaced font."""
LEAST_SHARE: Final = 0.001
"""Boxes of a smaller share than this are not drawn: they would be thinner than a pixel."""
EVENTS: Final = 100_000
ROOT: Final = "Stages.run ("


@dataclass(slots=True)
class Node:
    """A function as called by those below it."""

    samples: int = 0
    callees: dict[str, Node] = field(default_factory=dict)


class Box(NamedTuple):
    """A rectangle of the picture; shares are of all samples."""

    frame: str
    depth: int
    begin: float
    share: float


def tree(stacks: Mapping[Stack, int], root: str = "") -> Node:
    """Calls as a tree; of each stack only what is within ``root``, and nothing of one that never entered it."""
    top = Node()
    for stack, samples in stacks.items():
        within = next((at for at, frame in enumerate(stack) if frame.startswith(root)), None)
        if within is None:
            continue
        top.samples += samples
        node = top
        for frame in stack[within:]:
            node = node.callees.setdefault(frame, Node())
            node.samples += samples
    return top


def boxes(top: Node, least_share: float = LEAST_SHARE) -> list[Box]:
    """Where each function is drawn.

    Examples
    --------
    >>> [(box.frame, box.depth, box.begin, box.share) for box in boxes(tree({("a", "b"): 3, ("a",): 1}))]
    [('a', 0, 0.0, 1.0), ('b', 1, 0.0, 0.75)]
    """
    return list(_boxes(top, 0, 0.0, top.samples, least_share))


def _boxes(node: Node, depth: int, begin: float, total: int, least_share: float) -> Iterator[Box]:
    for frame, callee in sorted(node.callees.items()):
        share = callee.samples / total
        if share >= least_share:
            yield Box(frame, depth, begin, share)
            yield from _boxes(callee, depth + 1, begin, total, least_share)
        begin += share


def svg(top: Node, title: str) -> str:
    """The picture."""
    drawn = boxes(top)
    rows = 1 + max((box.depth for box in drawn), default=0)
    height = TITLE + rows * ROW + 4
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    font = 'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="21" font-size="13" fill="#222222">{escape(title)}</text>',
    ]
    parts += [_drawn(box, rows, top.samples) for box in drawn]
    return "\n".join([*parts, "</svg>", ""])


def _drawn(box: Box, rows: int, samples: int) -> str:
    x, width = box.begin * WIDTH, box.share * WIDTH
    y = TITLE + (rows - 1 - box.depth) * ROW
    name = box.frame.partition(" (")[0]
    room = int((width - 6) / CHARACTER)
    text = name if len(name) <= room else f"{name[: room - 1]}…" if room >= 4 else ""
    label = f'<text x="{x + 3:.1f}" y="{y + 12}" fill="#111111">{escape(text)}</text>' if text else ""
    told = f"{box.frame}: {box.share:.1%}, {round(box.share * samples):,} samples"
    return (
        f'<g><title>{escape(told)}</title><rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.5):.1f}" '
        f'height="{ROW - 1}" rx="1" fill="{_colour(box.frame)}"/>{label}</g>'
    )


def _colour(frame: str) -> str:
    """One hue a module, the same in every picture."""
    hue = zlib.crc32(module_of(frame).encode()) % 360
    return f"hsl({hue}, 62%, 74%)"


def stages_drawn(out: Path, events: int = EVENTS) -> None:
    """Sample the stages of a worker over w1, and draw them.

    Raises
    ------
    Skipped
        py-spy is not installed.
    """
    log = W1.scaled(events)
    with tempfile.TemporaryDirectory(prefix="ebbtide-flames-") as scratch:
        path = written(log, Path(scratch))
        found = sampled([sys.executable, "-m", stages.__name__, path], Path(scratch) / "folded")
    title = f"CPU of a worker's stages and the trainer over {log.events:,} events of w1, without Kafka and disk"
    out.write_text(svg(tree(found, ROOT), title), encoding="utf-8")


def worker_drawn(out: Path, events: int = EVENTS) -> None:
    """Sample a worker on Apache Kafka while it catches up with w1, and draw it.

    Raises
    ------
    Skipped
        Apache Kafka or py-spy is missing, or py-spy may not look into a running process.
    """
    log = W1.scaled(events)
    with tempfile.TemporaryDirectory(prefix="ebbtide-flames-") as scratch:
        found = sampled_worker(log, Path(scratch))
    title = f"CPU of a worker that catches up with {log.events:,} events of w1 on Apache Kafka"
    out.write_text(svg(tree(found), title), encoding="utf-8")


def main() -> None:
    """Draw one anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--stages", action="store_true", help="the stages without Kafka, not a live worker")
    parser.add_argument("--events", type=int, default=EVENTS, metavar="N")
    asked = parser.parse_args()
    (stages_drawn if asked.stages else worker_drawn)(asked.out, asked.events)


if __name__ == "__main__":
    main()
