"""The tables of a study: candidates against the champion, and what each family of features adds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from models.study.candidates import CHAMPION, Candidate
from models.study.families import BASIS, Variation
from models.study.judgement import Figures, Judgement

Judged = Mapping[str, Judgement]
"""A judgement per study set, by its name."""
_NONE: Final = "–"


class Table(NamedTuple):
    """A title, a head and rows of text; every column but the first is a figure."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """As GitHub reads it.

        >>> print(Table("t", ("what", "n"), [("a", "1")]).markdown())
        | what | n |
        |---|---:|
        | a | 1 |
        """
        rule = "|---|" + "---:|" * (len(self.head) - 1)
        return "\n".join([_piped(self.head), rule, *(_piped(row) for row in self.rows)])

    def plain(self) -> str:
        """In columns, for a terminal."""
        widths = [max(len(row[n]) for row in [self.head, *self.rows]) for n in range(len(self.head))]

        def line(row: Sequence[str]) -> str:
            cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            return "  ".join(cells).rstrip()

        return "\n".join([self.title, line(self.head), *map(line, self.rows)])


def _piped(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _number(value: float, form: str) -> str:
    return _NONE if math.isnan(value) else format(value, form)


def _over(judged: Judged, figure: str) -> float:
    """The mean of a prequential figure over the sets."""
    return _mean([float(getattr(one.prequential, figure)) for one in judged.values()])


def _at_cuts(judged: Judged, figure: str) -> float:
    """The mean of a figure over all cuts of all sets."""
    cuts: list[Figures] = [cut for one in judged.values() for cut in one.cuts.values()]
    return _mean([float(getattr(cut, figure)) for cut in cuts if getattr(cut, figure) is not None])


def candidate_table(
    candidates: Sequence[Candidate], judged: Mapping[str, Judged], champion_on: Mapping[int, Judged]
) -> Table:
    """Every candidate, best first by what its log loss is above the champion's on the very same scores.

    Parameters
    ----------
    candidates
        Those that were run.
    judged
        By the candidate's name.
    champion_on
        The champion on shops of one user in so many.
    """

    def behind(one: Candidate) -> float:
        return _over(judged[one.name], "log_loss") - _over(champion_on[one.one_user_in], "log_loss")

    rows = []
    for one in sorted(candidates, key=behind):
        found, same = judged[one.name], champion_on[one.one_user_in]
        costs = list(found.values())
        learned = sum(cost.learned for cost in costs) or 1
        rows.append(
            (
                f"**{one.name}**" if one.name == CHAMPION else one.name,
                "all" if one.one_user_in == 1 else f"1 in {one.one_user_in}",
                _number(behind(one), "+.4f"),
                _number(_over(found, "auc") - _over(same, "auc"), "+.4f"),
                _number(_over(found, "log_loss"), ".4f"),
                _number(_over(found, "auc"), ".4f"),
                _number(_over(found, "brier"), ".4f"),
                _number(_over(found, "ece"), ".3f"),
                _number(_at_cuts(found, "auc"), ".4f"),
                _number(_at_cuts(found, "brier"), ".4f"),
                _number(math.fsum(cost.learn_us * cost.learned for cost in costs) / learned, ",.0f"),
                _number(_mean([cost.score_us for cost in costs]), ",.0f"),
                _number(max(cost.state_bytes for cost in costs) / 1024, ",.0f"),
            )
        )
    head = ("candidate", "users", "Δ log loss", "Δ AUC", "log loss", "AUC", "Brier", "ECE", "AUC at cuts")
    return Table("Candidates", (*head, "Brier at cuts", "µs/example", "µs/score", "KB"), rows)


def set_table(candidates: Sequence[Candidate], judged: Mapping[str, Judged]) -> Table:
    """AUC at each cut, of the candidates that were run on all users."""
    whole = [one for one in candidates if one.one_user_in == 1]
    names = [name for found in judged[CHAMPION].values() for name in found.cuts]
    rows = []
    for one in whole:
        cuts = {name: cut for found in judged[one.name].values() for name, cut in found.cuts.items()}
        figures = [cuts[name].auc for name in names]
        rows.append((one.name, *(_NONE if auc is None else f"{auc:.4f}" for auc in figures)))
    return Table("AUC at each cut", ("candidate", *names), rows)


def family_table(variations: Sequence[Variation], judged: Mapping[Variation, Judged]) -> Table:
    """What each family adds to recency, and what is lost without it (or gained with it, if it is no feature yet)."""
    basis = next(judged[one] for one in variations if one.how == "alone")
    whole = next(judged[one] for one in variations if one.how == "all")
    rows = [
        (
            f"{BASIS} alone" if one.how == "alone" else "all of the catalogue",
            str(len(one.features)),
            one.how if one.how == "all" else _NONE,
            _number(_over(judged[one], "auc"), ".4f"),
            _number(_over(judged[one], "log_loss"), ".4f"),
            *(f"{found.prequential.auc or math.nan:.4f}" for found in judged[one].values()),
        )
        for one in variations
        if one.how in {"alone", "all"}
    ]
    for how, against in (("added", basis), ("left out", whole), ("added to all", whole)):
        for one in (one for one in variations if one.how == how):
            found = judged[one]
            rows.append(
                (
                    one.family,
                    str(len(one.features)),
                    how,
                    _number(_over(found, "auc") - _over(against, "auc"), "+.4f"),
                    _number(_over(found, "log_loss") - _over(against, "log_loss"), "+.4f"),
                    *(
                        _number((found[name].prequential.auc or math.nan) - (there.prequential.auc or math.nan), "+.4f")
                        for name, there in against.items()
                    ),
                )
            )
    head = ("family", "features", "how", "AUC", "log loss", *(f"AUC {name}" for name in basis))
    return Table("Features by family (differences, but for the first two rows)", head, rows)


def body_of(
    candidates: Sequence[Candidate],
    judged: Mapping[str, Judged],
    variations: Sequence[Variation],
    by_family: Mapping[Variation, Judged],
) -> dict[str, Any]:
    """Everything, JSON-ready."""
    return {
        "candidates": [
            {
                "name": one.name,
                "kind": one.kind,
                "one_user_in": one.one_user_in,
                "sets": {name: found.body() for name, found in judged[one.name].items()},
            }
            for one in candidates
        ],
        "families": [
            {
                "family": one.family,
                "how": one.how,
                "features": list(one.features),
                "sets": {name: found.body() for name, found in by_family[one].items()},
            }
            for one in variations
        ],
    }
