"""Every benchmark of ``make bench``, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Final, NamedTuple

from tests.bench.benchmark import Asked
from tests.bench.measuring import Result


class Benchmark(NamedTuple):
    """One line of the registry."""

    name: str
    """As ``--only`` and results call it."""
    module: str
    """Imported when it runs: what it needs may be missing elsewhere."""

    @property
    def about(self) -> str:
        """What is measured, in one line."""
        return str(import_module(self.module).ABOUT)

    def measure(self, asked: Asked) -> Iterator[Result]:
        """Measure."""
        yield from import_module(self.module).measure(asked)


BENCHMARKS: Final[tuple[Benchmark, ...]] = (
    Benchmark("engine", "tests.bench.engine"),
    Benchmark("backfill", "tests.bench.backfill"),
    Benchmark("ray", "tests.bench.ray_workers"),
    Benchmark("users", "tests.bench.users"),
    Benchmark("restore", "tests.bench.restore"),
    Benchmark("worker", "tests.bench.worker"),
    Benchmark("latency", "tests.bench.latency"),
    Benchmark("workers", "tests.bench.workers"),
    Benchmark("competitors", "tests.bench.competitors"),
    Benchmark("shell", "tests.bench.shell"),
    Benchmark("bootstrap", "tests.bench.bootstrap"),
)


def chosen(names: list[str]) -> list[Benchmark]:
    """Those named, or all; LookupError names what is unknown."""
    known = {benchmark.name for benchmark in BENCHMARKS}
    if unknown := [name for name in names if name not in known]:
        raise LookupError(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return [benchmark for benchmark in BENCHMARKS if not names or benchmark.name in names]
