"""The table and the verdicts of a run, for a person and for a machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from rich.table import Table

from tests.quality.bars import Reference, Shop, Verdict, of_cut, of_mean
from tests.quality.costs import Costs
from tests.quality.figures import Figures

_HEADINGS: Final = (
    "log", "H", "cut", "customers", "base", "recency", "AUC", "LightGBM", "Brier", "LightGBM", "bias", "LightGBM",
    "ECE", "LightGBM", "excess", "scored", "bars",
)  # fmt: skip


class CutResult(NamedTuple):
    """Ebbtide at one cut, beside recency alone and LightGBM: as fixed, and as refitted now where that was asked."""

    shop: Shop
    cut: str
    ebbtide: Figures
    recency_auc: float
    refitted: Figures | None

    @property
    def reference(self) -> Reference:
        """The figures that the bars are set by."""
        return self.shop.references[self.cut]

    @property
    def name(self) -> str:
        """As verdicts name it."""
        return f"{self.shop.name} {self.cut}"

    def verdicts(self) -> list[Verdict]:
        """The bars of this cut."""
        return of_cut(self.name, self.reference, self.ebbtide)


def verdicts_of(results: Sequence[CutResult]) -> list[Verdict]:
    """All bars, that of the mean first."""
    mean = of_mean([(result.reference, result.ebbtide) for result in results])
    return [mean, *(verdict for result in results for verdict in result.verdicts())]


def table_of(results: Sequence[CutResult]) -> Table:
    """The issue's table with Ebbtide's columns beside LightGBM's."""
    table = Table(title="Churn as served, at each cut", title_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading in ("log", "cut", "bars") else "right", no_wrap=True)
    for result in results:
        found, beside = result.ebbtide, result.reference
        passed = all(verdict.holds for verdict in result.verdicts())
        table.add_row(
            result.shop.name,
            f"{result.shop.horizon_days} d",
            result.cut,
            f"{found.customers:,}",
            f"{found.base_rate:.3f}",
            f"{result.recency_auc:.3f}",
            f"{found.auc:.4f}",
            f"{beside.auc:.3f}",
            f"{found.brier:.4f}",
            f"{beside.brier:.4f}",
            f"{found.bias:+.3f}",
            f"{beside.bias:.3f}",
            f"{found.ece:.3f}",
            f"{beside.ece:.3f}",
            f"{found.excess:+.3f}",
            f"{found.share:.1%}",
            "[green]pass[/green]" if passed else "[red]fail[/red]",
        )
    return table


def refitted_table(results: Sequence[CutResult]) -> Table:
    """LightGBM as refitted now, on the engine's own features."""
    table = Table(title="LightGBM refitted now on Ebbtide's features, mean of five seeds", title_justify="left")
    for heading in ("log", "cut", "AUC", "Brier", "bias", "ECE", "excess"):
        table.add_column(heading, justify="left" if heading in ("log", "cut") else "right", no_wrap=True)
    for result in results:
        if (one := result.refitted) is not None:
            cells = (f"{one.auc:.4f}", f"{one.brier:.4f}", f"{one.bias:+.3f}", f"{one.ece:.3f}", f"{one.excess:+.3f}")
            table.add_row(result.shop.name, result.cut, *cells)
    return table


def cost_table(costs: Sequence[tuple[Shop, Costs]]) -> Table:
    """What it costs, per log."""
    table = Table(title="Costs, on one core", title_justify="left")
    for heading in ("log", "µs per example", "µs per score", "bytes per model", "bytes per observation"):
        table.add_column(heading, justify="left" if heading == "log" else "right", no_wrap=True)
    for shop, one in costs:
        table.add_row(
            shop.name,
            f"{one.example_us:.1f}",
            f"{one.score_us:.1f}",
            f"{one.model_bytes:,}",
            f"{one.observation_bytes}",
        )
    return table


def body_of(results: Sequence[CutResult], costs: Sequence[tuple[Shop, Costs]]) -> dict[str, Any]:
    """Everything, JSON-ready."""
    return {
        "cuts": [
            {
                "log": result.shop.name,
                "horizon_days": result.shop.horizon_days,
                "look_back_days": result.shop.look_back_days,
                "cut": result.cut,
                "ebbtide": result.ebbtide._asdict(),
                "recency_auc": result.recency_auc,
                "lightgbm": result.reference._asdict(),
                "lightgbm_refitted": None if result.refitted is None else result.refitted._asdict(),
            }
            for result in results
        ],
        "mean_auc": sum(result.ebbtide.auc for result in results) / len(results),
        "costs": {shop.name: one._asdict() for shop, one in costs},
        "bars": [verdict._asdict() for verdict in verdicts_of(results)],
    }
