"""``ebbtide scorecard``: how good the scores were that were served, and what the figures mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log, pi, sqrt
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from streams.cli.terminal import examples, note, say, settings_here, table

PLOT_WIDTH: Final = 41
SAID, CAME, BOTH = "○", "●", "◉"
_GROUPS: Final = (("stage", "by_stage"), ("tier", "by_tier"), ("start", "by_cold_start"))
_SHOWN: Final = ("base_rate", "mean_probability", "auc", "log_loss", "brier", "ece", "top_decile_lift")

_HEADINGS: Final = {
    "auc": "AUC",
    "brier": "Brier",
    "ece": "ECE",
    "mean_probability": "mean said",
    "positive_ratio": "came true",
    "top_decile_lift": "lift",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "scorecard",
        epilog=examples(
            ("of a finished backfill", "ebbtide scorecard out"),
            ("live, from the topic model-scorecard", "ebbtide scorecard"),
            ("one head, for a script", "ebbtide scorecard out --head churn --json"),
            more="Exit code 1: there is no scorecard yet.",
        ),
    )(scorecard)


def scorecard(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="A finished backfill; without it the topic model-scorecard."),
    ] = None,
    head: Annotated[str | None, typer.Option("--head", metavar="NAME", help="Only this one, say churn.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The records as they stand there, one a line.")] = False,
) -> int:
    """Show how good scores were as they were served: each scheduled one is later compared with what happened."""
    from streams.codec import encode
    from streams.replay.scorecards import from_folder, from_topic

    cards = from_topic(settings_here()) if folder is None else from_folder(folder)
    chosen = {name: card for name, card in sorted(cards.items()) if head in (None, name)}
    if head is not None and head not in cards and cards:
        raise typer.BadParameter(f"there is no head {head!r}; there are {', '.join(sorted(cards))}")
    if not chosen:
        note("There is no scorecard yet: the trainer writes the first with its first cut.")
        return 1
    for number, card in enumerate(chosen.values()):
        if as_json:
            say(encode(card).decode())
            continue
        if number:
            say()
        _show(card)
    return 0


def _show(card: Mapping[str, Any]) -> None:
    window = card["window"]
    ahead = f" within {card['horizon_days']} d" if card["horizon_days"] else ""
    until = (
        f", as served until {card['as_of'][:16].replace('T', ' ')} (model {card['version']})" if card["as_of"] else ""
    )
    say(f"{card['head']}: who {card['outcome']}{ahead}{until}")
    cold = f" and {card['cold']:,} without a probability, before there was a model" if card["cold"] else ""
    say(f"{card['labels']:,} labels: {card['scored']:,} of scores{cold}.")
    if (account := card["observations"]) is not None:
        say(accounted(account))
    say()
    if not window["n"]:
        say("No score with a probability has its label yet.")
        _show_groups(card, ("positive_ratio",))
        return
    table(
        ("figure", f"last {window['n']:,}", f"all {card['overall']['n']:,}", "what it means"),
        figures(window, card["overall"], card["outcome"]),
    )
    say()
    table(
        ("said", "came", "scores", f"0 {'·' * (PLOT_WIDTH - 4)} 1"),
        plot(window["bins"]),
        title=f"Reliability, in bins of equal mass: {SAID} what was said, {CAME} what came, {BOTH} both.",
    )
    _show_groups(card, _SHOWN)


def _show_groups(card: Mapping[str, Any], shown: Sequence[str]) -> None:
    for title, name in _GROUPS:
        if card[name]:
            say()
            table((title, "labels", *(_heading(figure) for figure in shown)), groups(card[name], shown))


def figures(window: Mapping[str, Any], overall: Mapping[str, Any], outcome: str) -> Iterator[tuple[str, ...]]:
    """A line per figure: what it is called, over the window, over all, and what it means."""
    rate = window["base_rate"]
    always = -sum(p * log(p) for p in (rate, 1 - rate) if p > 0) if rate is not None else None
    spread = rate * (1 - rate) if rate is not None else None
    noise = sum(sqrt(2 / pi * b["n"] * b["mean_probability"] * (1 - b["mean_probability"])) for b in window["bins"])
    by_chance = _figure(noise / window["n"])
    meanings = {
        "base_rate": f"share that {outcome}",
        "mean_probability": "mean of what was said; as high as the base rate, where scores are honest on the whole",
        "auc": f"of one who {outcome} and one who did not, how often the first had the higher score; 0.5 is chance",
        "log_loss": f"surprise per label in nats, lower is better; always saying the base rate: {_figure(always)}",
        "brier": f"squared error of what was said, lower is better; always saying the base rate: {_figure(spread)}",
        "ece": f"mean gap between said and came over the bins below; chance alone makes about {by_chance}",
        "top_decile_lift": f"how much denser those who {outcome} are in the highest-scored tenth than in all",
    }
    for name, meaning in meanings.items():
        yield _heading(name), _figure(window[name]), _figure(overall.get(name)), meaning


def plot(bins: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """A line per bin: said and came, on a scale from 0 to 1."""
    for each in bins:
        said, came = each["mean_probability"], each["observed_ratio"]
        line = [" "] * PLOT_WIDTH
        line[round(came * (PLOT_WIDTH - 1))] = CAME
        at = round(said * (PLOT_WIDTH - 1))
        line[at] = BOTH if line[at] == CAME else SAID
        yield f"{said:.3f}", f"{came:.3f}", f"{each['n']:,}", "".join(line).rstrip()


def groups(found: Mapping[str, Any], shown: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """A line per group: how many labels since the start, and its figures over the window."""
    for name, group in found.items():
        figures = {**group["window"], "positive_ratio": group["positive_ratio"]}
        yield name, f"{group['labels']:,}", *(_figure(figures[figure]) for figure in shown)


def accounted(account: Mapping[str, Any]) -> str:
    """What became of every scheduled score.

    >>> accounted({"opened": 9, "churned": 2, "returned": 3, "erased": 1, "pending": 3, "partitions": 1, "since": None})
    '9 scheduled = 2 churned + 3 returned + 1 erased + 3 pending.'
    """
    parts = [
        f"{count:,} {state.replace('_', ' ')}"
        for state, count in account.items()
        if state not in ("opened", "partitions", "since")
    ]
    since = f", counted since {account['since'][:10]}" if account["since"] else ""
    return f"{account['opened']:,} scheduled = {' + '.join(parts)}{since}."


def _heading(name: str) -> str:
    return _HEADINGS.get(name, name.replace("_", " "))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
