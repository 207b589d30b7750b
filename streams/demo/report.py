"""What the demo says in plain lines: now and then while it runs piped, and at the end to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from streams.core.events import DAY_MS
from streams.demo.books import Entry
from streams.demo.screen import Status
from streams.demo.verdict import TOP_SHARE, Verdict
from streams.demo.view import View
from streams.demo.words import (
    amount,
    cause_text,
    day_text,
    evidence_text,
    model_text,
    moment_text,
    move_text,
    percent,
    risk_text,
    share,
)

SHOWN: Final = 6
_BAR: Final = 20


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the lines under it."""

    title: str
    lines: list[str] = field(default_factory=list)


def progress_line(status: Status, view: View) -> str:
    """How a running demo stands, one line."""
    progress = view.progress
    if progress.newest_ms is None:
        published = f", {progress.published:,} of {status.rows:,} records published" if progress.published else ""
        return f"{status.elapsed_s:4.0f} s  {status.phase}{published}"
    stages = dict(view.stages)
    gone = ", ".join(f"{name} {stages.get(name, 0):,}" for name in ("loyal", "at_risk", "churned"))
    model = view.model
    learning = (
        f"model learns, {model.learned:,} labels"
        if model.cold
        else f"AUC {share(model.auc)}, ECE {share(model.ece)}, base rate {share(model.base_rate)}"
    )
    return (
        f"{status.elapsed_s:4.0f} s  {day_text(progress.newest_ms)}  {progress.read:,} records, "
        f"{view.per_second:,.0f}/s, lag {progress.lag:,} | {gone} | {learning}"
    )


def closing(
    status: Status,
    view: View,
    *,
    verdict: Verdict | None,
    entries: Sequence[Entry],
    span: tuple[int, int] | None,
    stories: Sequence[Section] = (),
    where_next: Sequence[str],
) -> list[Section]:
    """The report at the end.

    Parameters
    ----------
    status, view
        How it ended.
    verdict, entries
        Against the truth, where there is one.
    span
        First and last event time, ms.
    stories
        What happened to single customers.
    where_next
        Lines of advice.
    """
    sections = [_happened(status, view, span), _stages(view), _changes(view), _riskiest(view), _scorecard(view)]
    if verdict is not None:
        sections += [_truth(verdict), *stories]
    if entries:
        sections.append(_books(entries))
    return [*(section for section in sections if section.lines), Section("Where to look next", list(where_next))]


def _happened(status: Status, view: View, span: tuple[int, int] | None) -> Section:
    progress = view.progress
    lines = []
    if span is not None:
        days = (span[1] - span[0]) / DAY_MS
        speed = days * DAY_MS / 1000 / max(status.elapsed_s, 0.001)
        lines.append(
            f"{days:,.0f} days, {day_text(span[0])} to {day_text(span[1])}, in {status.elapsed_s:.0f} s: "
            f"{speed:,.0f} times real speed"
        )
    counts = f"{progress.accepted:,} accepted + {progress.duplicates:,} duplicates + {progress.rejected:,} rejected"
    total = progress.accepted + progress.duplicates + progress.rejected
    lines.append(f"{total:,} of {status.rows:,} records read = {counts}")
    if view.late or view.dead_letters:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(view.dead_letters.items()))
        lines.append(f"late but accepted: {view.late:,}; dead letters: {reasons or 'none'}")
    if view.outputs:
        told = ", ".join(f"{topic} {count:,}" for topic, count in sorted(view.outputs.items()))
        lines.append(f"messages out: {told}")
    return Section(f"What happened: {status.title}", lines)


def _stages(view: View) -> Section:
    most = max((count for _, count in view.stages), default=1)
    return Section(
        "Users by stage",
        [f"{stage:<12} {count:>7,}  {'#' * round(count / most * _BAR)}".rstrip() for stage, count in view.stages],
    )


def _changes(view: View) -> Section:
    lines = [
        f"{moment_text(change.at_ms)}  {change.user_id}  {move_text(change)}; by {cause_text(change)}: "
        f"{evidence_text(change)}"
        for change in view.changes[:SHOWN]
    ]
    return Section("Last segment changes", lines)


def _riskiest(view: View) -> Section:
    lines = []
    for customer in view.riskiest[:SHOWN]:
        about = ", ".join(part for part in (customer.stage, customer.tier) if part)
        lines.append(f"{customer.user_id}  {risk_text(customer)}  ({about})")
        lines += [f"    {reason}" for reason in customer.reasons]
    return Section("Riskiest customers (two orders or more, not churned yet)", lines)


def _scorecard(view: View) -> Section:
    model = view.model
    if model.cold or not model.scored:
        return Section("The model's scorecard", [model_text(model)])
    fit = f"AUC {share(model.auc)}, log loss {share(model.log_loss)}, Brier {share(model.brier)}"
    lines = [
        f"{fit}, calibration error {share(model.ece)}, base rate {share(model.base_rate)}",
        f"prequential: {model.scored:,} scores as they were served, each later compared with what came",
        f"version {model.version}, {model.learned:,} labels learned",
    ]
    if model.bins:
        lines += ["said  came"]
        lines += [f"{share(said)}  {share(came)}  {'#' * round(came * _BAR)}".rstrip() for said, came in model.bins]
    return Section("The model's scorecard", lines)


def _truth(verdict: Verdict) -> Section:
    passed = len(verdict.catches)
    lines = [f"{amount(verdict.slipping, 'customer')} of the shop really slip away; nothing in the records says who"]
    if verdict.since_ms is None or not passed:
        lines.append("too little of the shop was read for the model to rank anybody: give it longer with --seconds")
        return Section("Held against the truth", lines)
    caught = len(verdict.caught)
    lines += [
        f"{passed} of them passed their churn limit once the model ranked, from {day_text(verdict.since_ms)} on"
        + (f" ({verdict.too_early} before)" if verdict.too_early else ""),
        f"caught in the top decile before that: {caught} of {passed} ({percent(caught / passed)})",
        f"by chance, regulars in the top decile over the same days: {percent(verdict.by_chance)}",
    ]
    if verdict.median_days_before is not None:
        lines.append(f"median {verdict.median_days_before:.1f} days before their limit")
    lines.append(
        "(ranked at every midnight: customers with two orders or more who are not past their limit; "
        f"the top decile is the first {100 // TOP_SHARE} %)"
    )
    return Section("Held against the truth", lines)


def _books(entries: Sequence[Entry]) -> Section:
    width = max(len(entry.name) for entry in entries)
    lines = [f"{'':<{width}}  {'put in':>8}  {'found':>8}"]
    for entry in entries:
        sign = ("=" if entry.found == entry.sent else "*") if entry.balanced else "DIFFERS"
        lines.append(f"{entry.name:<{width}}  {entry.sent:>8,}  {entry.found:>8,}  {sign:<1}  {entry.where}")
    if any(entry.balanced and entry.found < entry.sent for entry in entries):
        lines.append("(*: the others came before the watermark had passed them, so they were in time)")
    wrong = [entry.name for entry in entries if not entry.balanced]
    lines.append("every count adds up" if not wrong else f"these do not add up: {'; '.join(wrong)}")
    return Section("Every record is there, once", lines)
