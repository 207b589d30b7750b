"""Scorecards taken anew from what was published, with other people's programs: scikit-learn and polars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

import polars as pl
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

WINDOW = 10_000
LABELS = {"churn": "churned", "propensity": "bought"}
GROUPS = {"by_stage": "stage", "by_tier": "tier"}
CLOSE = 1e-9

Body = Mapping[str, Any]


def judged(head: str, scores: Iterable[Body], examples: Iterable[Body]) -> pl.DataFrame:
    """Every scheduled score of a head whose label is known, in the order of learning.

    Parameters
    ----------
    scores
        Bodies of the head's output topic; of two about one instant of a user, the later corrected the earlier.
    examples
        Bodies of ``training-examples``; a repeat has the id of the first.
    """
    told = [(one["seq"], one["user_id"], one["as_of"], one["probability"]) for one in scores if one["scheduled"]]
    said = {(user, as_of): probability for _, user, as_of, probability in sorted(told, key=itemgetter(0))}
    rows = {
        one["id"]: (
            one["label_at"],
            f"{one['user_hash']:020d}",
            one["id"],
            said[one["user_id"], one["as_of"]],
            bool(one[LABELS[head]]),
            one["stage"],
            one["tier"] or "none",
        )
        for one in examples
        if one["type"] == "example" and one["head"] == head
    }
    names = ("label_at", "user_hash", "id", "probability", "outcome", "stage", "tier")
    schema = {**dict.fromkeys(names, pl.String), "probability": pl.Float64, "outcome": pl.Boolean}
    return pl.DataFrame(list(rows.values()), schema=schema, orient="row").sort(names[:3])


def recomputed(frame: pl.DataFrame) -> dict[str, float | None]:
    """The figures of scored labels, but for the bins."""
    n = frame.height
    if n == 0:
        return dict.fromkeys(("base_rate", "mean_probability", "auc", "log_loss", "brier", "ece", "top_decile_lift"))
    p, y = frame["probability"].to_numpy(), frame["outcome"].to_numpy()
    both = 0 < y.sum() < n
    bins = frame.group_by(_bin(frame)).agg(gap=(pl.col("probability") - pl.col("outcome").cast(pl.Float64)).sum().abs())
    tied = frame.with_columns(share=pl.col("outcome").cast(pl.Float64).mean().over("probability"))
    size = -(-n // 10)
    top = tied.sort("probability", descending=True)["share"].head(size).sum()
    return {
        "base_rate": float(y.mean()),
        "mean_probability": float(p.mean()),
        "auc": float(roc_auc_score(y, p)) if both else None,
        "log_loss": float(log_loss(y, p, labels=[False, True])),
        "brier": float(brier_score_loss(y, p)),
        "ece": float(bins["gap"].sum()) / n,
        "top_decile_lift": float(top) / size / float(y.mean()) if y.any() else None,
    }


def _bin(frame: pl.DataFrame) -> pl.Series:
    """The bin of every score: a tied group goes where its bin began when the group's first member came."""
    p = frame["probability"].sort().to_list()
    ends: list[int] = []
    for number in range(1, 11):
        end = -(-len(p) * number // 10)
        while 0 < end < len(p) and p[end] == p[end - 1]:
            end += 1
        ends.append(end)
    limits = sorted({p[end - 1] for end in ends if end})
    return pl.Series("bin", [sum(limit < one for limit in limits) for one in frame["probability"]])


def assert_recomputed(card: Body, frame: pl.DataFrame) -> None:
    """Every figure of a scorecard is what its scores and labels make it, to 1e-9."""
    window = frame.drop_nulls("probability").tail(WINDOW)
    assert (card["labels"], card["scored"]) == (frame.height, frame.drop_nulls("probability").height)
    assert card["positives"] == frame["outcome"].sum()
    _same(card["window"], window)
    assert sum(each["n"] for each in card["window"]["bins"]) == window.height
    for by, column in GROUPS.items():
        assert set(card[by]) == set(frame[column])
        for name, group in card[by].items():
            of_group = frame.filter(pl.col(column) == name)
            assert group["labels"] == of_group.height
            assert group["positive_ratio"] == pytest.approx(of_group["outcome"].mean(), abs=CLOSE)
            _same(group["window"], window.filter(pl.col(column) == name))
    cold = frame.filter(pl.col("probability").is_null())
    assert card["by_cold_start"].get("cold", {"labels": 0})["labels"] == cold.height


def _same(figures: Body, frame: pl.DataFrame) -> None:
    assert figures["n"] == frame.height
    for name, value in recomputed(frame).items():
        assert figures[name] == (None if value is None else pytest.approx(value, abs=CLOSE)), name
