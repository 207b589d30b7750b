"""How benchmarks are chosen, kept and shown: results on disk, ratios, tables, the page, the flame graph."""

from __future__ import annotations

import xml.etree.ElementTree as Tree
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.bench import __main__ as program
from tests.bench import report
from tests.bench.benchmark import Asked, Skipped
from tests.bench.engine import REST, parts
from tests.bench.flamegraph import WIDTH, boxes, svg, tree
from tests.bench.measuring import BenchmarkFailed, Result, Run
from tests.bench.registry import BENCHMARKS, Benchmark, chosen
from tests.bench.results import Measured, figures, keep, ratio, read
from tests.bench.sampling import stacks
from tests.bench.scale_plan import plan
from tests.bench.table import table_of
from tests.bench.worker_stacks import by_thread

MACHINE = {"cpu": "a CPU", "cores": 2, "memory_gib": 4.0, "kernel": "6", "python": "3.11", "packages": {}, "load": 0.1}


def result(candidate: str, cpu_us: float, log: str = "w1", benchmark: str = "engine", **more: float) -> Result:
    return Result(benchmark, candidate, log, (Run(1_000, 1.0, cpu_us / 1_000, 10.0, more),))


def measured(benchmark: str, *results: Result) -> Measured:
    return Measured(benchmark, MACHINE, "2026-01-02", figures(results), 3.0)


def shown(*results: Result) -> str:
    screen = Console(width=200, record=True, file=StringIO())
    screen.print(table_of(figures(results)))
    return screen.export_text()


# -- results -----------------------------------------------------------------------------------------------------------


def test_a_ratio_is_against_the_first_candidate_on_the_same_log() -> None:
    found = figures([result("one", 10), result("other", 30), result("one", 1, "w2"), result("other", 5, "w2")])
    assert [ratio(one, found) for one in found] == [None, pytest.approx(3), None, pytest.approx(5)]


def test_a_ratio_is_of_the_figure_that_is_compared() -> None:
    two = [
        Result("latency", name, "w1", (Run(1, 1, 1, 1, {"p99_ms": ms}),), "p99_ms") for name, ms in (("a", 5), ("b", 9))
    ]
    assert ratio(figures(two)[1], figures(two)) == pytest.approx(1.8)


def test_nothing_is_compared_where_nothing_is_to_be() -> None:
    two = figures([Result("restore", name, "w1", (Run(1, 1, 1, 1),), "") for name in "ab"])
    assert ratio(two[1], two) is None


def test_what_was_kept_is_read_as_it_was(tmp_path: Path) -> None:
    kept = measured("engine", result("one", 10, users=3.0))
    keep(kept, tmp_path / "results.json")
    assert read(tmp_path / "results.json") == {"engine": kept}


def test_a_benchmark_that_runs_again_replaces_its_own_results_alone(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    keep(measured("engine", result("one", 10)), path)
    keep(measured("backfill", result("two", 20, benchmark="backfill")), path)
    keep(measured("engine", result("one", 99)), path)
    assert {name: one.results[0].cpu_us_per_event for name, one in read(path).items()} == {
        "engine": pytest.approx(99),
        "backfill": pytest.approx(20),
    }


def test_the_table_tells_ratios() -> None:
    assert "3.00×" in shown(result("one", 10), result("other", 30))


# -- the command -------------------------------------------------------------------------------------------------------


def test_every_benchmark_of_the_registry_says_what_it_measures() -> None:
    assert all(benchmark.about for benchmark in BENCHMARKS)


def test_an_unknown_benchmark_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LookupError, match="backfill"):
        chosen(["speed"])


def test_short_runs_are_shorter(tmp_path: Path) -> None:
    assert Asked(tmp_path, print, short=True).events_of(300_000, 40_000) == 40_000


def test_what_is_asked_for_counts_more_than_short(tmp_path: Path) -> None:
    assert Asked(tmp_path, print, events=7, short=True).events_of(300_000, 40_000) == 7


class Named(Benchmark):
    """A benchmark without a module."""

    def measure(self, asked: Asked) -> Iterator[Result]:
        if self.module == "skipped":
            raise Skipped("Java is not here")
        if self.module == "failed":
            raise BenchmarkFailed("nothing was applied")
        yield result("one", 10, benchmark=self.name)


def run(monkeypatch: pytest.MonkeyPatch, path: Path, *modules: str) -> int:
    monkeypatch.setattr(program, "chosen", lambda names: [Named(f"b{at}", one) for at, one in enumerate(modules)])
    return program.main(["--json", str(path)])


def test_a_benchmark_that_cannot_run_here_is_skipped_and_the_rest_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.json"
    assert (run(monkeypatch, path, "skipped", "fine"), set(read(path))) == (0, {"b1"})
    assert "b0: skipped, Java is not here" in capsys.readouterr().err


def test_a_benchmark_that_failed_fails_the_command_and_the_rest_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.json"
    assert (run(monkeypatch, path, "failed", "fine"), set(read(path))) == (1, {"b1"})
    assert "b0: FAILED, nothing was applied" in capsys.readouterr().err


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_can_be_made_before_anything_is_measured() -> None:
    assert "*Not measured yet: `make bench ONLY=engine DOCS=1`.*" in report.page(prose(), {})


def prose() -> str:
    return report.PROSE.read_text(encoding="utf-8")


def test_a_name_in_the_prose_that_stands_for_nothing_is_an_error() -> None:
    with pytest.raises(LookupError):
        report.page("{{speed}}", {})


def test_a_figure_stands_within_its_sentence() -> None:
    told = report.page(
        "{{figure engine_us}} µs", {"engine": measured("engine", result("all of a worker's stages", 25))}
    )
    assert told == "**25** µs"


def test_the_page_has_a_column_for_what_most_have_and_a_table_for_what_few_have() -> None:
    two = [result("one", 10, p99_ms=5.0, users=7.0), result("other", 30, p99_ms=6.0), result("third", 1, p99_ms=7.0)]
    first, second, *_ = report.page("{{table engine}}", {"engine": measured("engine", *two)}).split("\n\n")
    assert ("p99 ms" in first, "users" in first, second.splitlines()[0]) == (True, False, "| log | candidate | users |")


def test_a_column_in_which_nothing_stands_is_left_out() -> None:
    told = report.page("{{table engine}}", {"engine": measured("engine", result("one", 10))})
    assert "ratio" not in told


def test_every_bound_of_the_gate_is_on_the_page() -> None:
    assert "| worker | CPU of a worker's stages over plain counting |" in report.page("{{gate}}", {})


def workers(cpu_us_of_two: float) -> dict[str, Measured]:
    one = result("1 worker", 25, benchmark="workers", busy_per_s=40_000.0, cores=2.0)
    two = result("2 workers", cpu_us_of_two, benchmark="workers", busy_per_s=60_000.0, cores=2.0)
    return {"workers": measured("workers", one, two)}


def test_a_plan_is_made_of_what_two_workers_took() -> None:
    # 1,000,000 ÷ 40,000 = 25 workers at their capacity
    assert "| if an event costs a hundred workers what it costs one | 50 |" in plan(workers(25))


def test_no_plan_is_made_where_two_workers_stood_in_each_others_way() -> None:
    assert "no basis for a plan" in plan(workers(50))


# -- the flame graph ---------------------------------------------------------------------------------------------------


def test_lines_of_one_function_are_taken_together(tmp_path: Path) -> None:
    path = tmp_path / "folded"
    path.write_text("main (a.py:1);work (b.py:2) 3\nmain (a.py:7);work (b.py:9) 4\n")
    assert stacks(path) == {("main (a.py)", "work (b.py)"): 7}


def test_a_box_is_as_wide_as_its_share_and_beside_its_siblings() -> None:
    drawn = {
        box.frame: (box.depth, box.begin, box.share) for box in boxes(tree({("m", "a"): 1, ("m", "b"): 2, ("m",): 1}))
    }
    assert drawn == {"m": (0, 0.0, 1.0), "a": (1, 0.0, 0.25), "b": (1, 0.25, 0.5)}


def test_what_never_entered_the_root_is_not_drawn() -> None:
    assert [box.frame for box in boxes(tree({("boot", "run", "work"): 3, ("boot",): 9}, "run"))] == ["run", "work"]


def test_the_picture_is_valid_xml_without_scripts() -> None:
    top = Tree.fromstring(svg(tree({("<module> (a.py)", "work & play (b.py)"): 4}), "a < b"))
    names = {element.tag.rpartition("}")[2] for element in top.iter()}
    assert names == {"svg", "title", "rect", "text", "g"}


def test_no_box_is_drawn_beyond_the_picture() -> None:
    top = Tree.fromstring(svg(tree({("m", "a"): 1, ("m", "b"): 2}), "shares"))
    boxes_ = [element.attrib for element in top.iter() if element.tag.endswith("rect")]
    assert all(float(box.get("x", 0)) + float(box["width"]) <= WIDTH for box in boxes_)


def test_samples_of_the_engine_are_shared_out_by_module() -> None:
    enter = "PartitionEngine.process (streams/core/engine.py)"
    found = {
        (enter, "Fold.apply (streams/core/fold.py)"): 5,
        (enter, "Fold.advance (streams/core/fold.py)", "score (streams/core/risk.py)"): 3,
        (enter,): 2,
        ("decode (streams/codec.py)",): 9,
    }
    assert parts(found) == {"engine: fold": 5, "engine: scores and decisions": 3, REST: 2}


def test_a_live_workers_stacks_begin_with_the_thread_and_leave_the_event_loop_out() -> None:
    found = {
        ("thread (7): MainThread", "run (asyncio/runners.py)", "Handle._run (asyncio/events.py)", "take (a.py)"): 3,
        ("thread (7): MainThread", "BaseEventLoop._run_once (asyncio/base_events.py)"): 1,
        ("thread (9): fetch", "Handle._run (asyncio/events.py)", "unpack (b.py)"): 2,
    }
    assert by_thread(Counter(found)) == {
        ("MainThread", "take (a.py)"): 3,
        ("MainThread", "event loop"): 1,
        ("fetch", "unpack (b.py)"): 2,
    }
