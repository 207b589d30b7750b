"""The screen of a running demo: one view, drawn for a terminal's size. Pure: it looks at nothing but its arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.demo.view import Change, Customer, Model, View
from streams.demo.words import (
    COLD_LABELS,
    cause_text,
    day_text,
    evidence_text,
    moment_text,
    move_text,
    risk_text,
    share,
)

STAGE_STYLES: Final = {
    "visitor": "bright_black",
    "activated": "cyan",
    "new_customer": "bright_cyan",
    "growing": "green",
    "reactivated": "bright_green",
    "loyal": "bold green",
    "at_risk": "yellow",
    "churned": "red",
    "dormant": "bright_black",
}
BAND_STYLES: Final = {"low": "green", "medium": "yellow", "high": "dark_orange", "critical": "bold red"}
_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_NARROW: Final = 100
_WIDE: Final = 60
"""Characters from which on a change has room for the time of day."""
_FRAME: Final = 2
_HEAD: Final = 3
_STAGES: Final = 9
_ROOMY: Final = 12
"""Rows from which on each customer gets two reasons."""


@dataclass(frozen=True, slots=True)
class Status:
    """What surrounds a view: which demo it is and how it stands."""

    title: str
    phase: str
    """What is being done, in a few words."""
    rows: int
    """Records of the whole log."""
    elapsed_s: float
    metrics_url: str | None = None


def draw(status: Status, view: View, width: int, height: int) -> RenderableType:
    """The whole screen, ``width`` by ``height`` characters.

    Parameters
    ----------
    status, view
        What to show.
    """
    left = 30 if width < _NARROW else min(44, width * 3 // 8)
    body = height - _HEAD - 1
    stage_rows = min(_STAGES + _FRAME, max(6, body // 2))
    change_rows = max(5, body // 2)
    root = Layout()
    root.split_column(
        Layout(_head(status, view, width), size=_HEAD), Layout(name="body"), Layout(_foot(status), size=1)
    )
    root["body"].split_row(Layout(name="left", size=left), Layout(name="right"))
    root["left"].split_column(
        Layout(Panel(_stages(view, left - 4), title="[b]Users by stage[/]", border_style="blue"), size=stage_rows),
        Layout(
            Panel(
                _model(view.model, left - 4, body - stage_rows - _FRAME),
                title="[b]The model, as served[/]",
                border_style="blue",
            )
        ),
    )
    inner = width - left - 4
    root["right"].split_column(
        Layout(
            Panel(
                _changes(view.changes, (change_rows - _FRAME) // 2, inner),
                title="[b]Last segment changes[/]",
                border_style="blue",
            ),
            size=change_rows,
        ),
        Layout(
            Panel(
                _riskiest(view.riskiest, body - change_rows - _FRAME, inner),
                title="[b]Riskiest customers[/]" + (f" ({_ranked_by(view)})" if width >= _NARROW else ""),
                border_style="blue",
            )
        ),
    )
    return root


def _head(status: Status, view: View, width: int) -> RenderableType:
    progress = view.progress
    when = "" if progress.newest_ms is None else day_text(progress.newest_ms)
    title = Table.grid(expand=True)
    title.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    title.add_column(justify="right", no_wrap=True)
    title.add_row(
        Text.assemble((" Ebbtide ", "bold white on blue"), "  ", (status.title, "bold")),
        Text(f"{status.elapsed_s:.0f} s", style="bright_black"),
    )
    figures = Text(no_wrap=True, overflow="ellipsis")
    figures.append(f" {when or status.phase}", style="bold cyan")
    if progress.read or progress.lag:
        done = progress.accepted + progress.duplicates + progress.rejected
        figures.append(f"   {view.per_second:,.0f} events/s", style="bold")
        figures.append(f"   lag {progress.lag:,}")
        figures.append(f"   {done:,} of {status.rows:,} records", style="bright_black")
        if width >= _NARROW:
            outputs = sum(view.outputs.values())
            figures.append(f"   {outputs:,} messages out, {progress.rejected:,} dead letters", style="bright_black")
        if when:
            figures.append(f"   {status.phase}", style="bright_black")
    elif progress.published:
        figures.append(f"   {progress.published:,} of {status.rows:,} records published", style="bright_black")
    return Group(title, figures, _track(progress.read / max(1, status.rows), width - 1, indent=1))


def _foot(status: Status) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis", style="bright_black")
    text.append(" Ctrl-C ends it and leaves nothing behind")
    if status.metrics_url:
        text.append(f"   {status.metrics_url}/metrics")
    return text


def _stages(view: View, width: int) -> RenderableType:
    if not view.stages:
        return Text("nobody yet", style="bright_black")
    most = max(count for _, count in view.stages)
    room = max(3, width - 12 - 1 - 6 - 1)
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=12, no_wrap=True)
    grid.add_column(justify="right", width=6, no_wrap=True)
    grid.add_column(no_wrap=True)
    for stage, count in view.stages:
        style = STAGE_STYLES.get(stage, "")
        grid.add_row(Text(stage, style=style), f"{count:,}", Text(_bar(count / most, room), style=style))
    return grid


def _track(done: float, width: int, *, indent: int = 0) -> Text:
    """A line of which a share is done."""
    room = max(1, width - indent)
    full = round(max(0.0, min(1.0, done)) * room)
    return Text.assemble(" " * indent, ("━" * full, "cyan"), ("━" * (room - full), "grey30"))


def _bar(value: float, room: int) -> str:
    """A bar of so many characters at most, in steps of an eighth."""
    eighths = round(max(0.0, min(1.0, value)) * room * 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def _model(model: Model, width: int, height: int) -> RenderableType:
    if model.cold:
        text = Text(f"learning: {model.learned:,} of {COLD_LABELS:,} labels")
        more = Text("until then customers are ranked by their silence", style="bright_black")
        return Group(text, _track(model.learned / COLD_LABELS, width), more)
    if not model.scored:
        return Text(f"{model.learned:,} labels learned; the first scores wait for what comes")
    lines = [
        Text.assemble(("AUC ", ""), (share(model.auc), "bold green"), f"   log loss {share(model.log_loss)}"),
        Text.assemble("ECE ", (share(model.ece), "bold"), f"   base rate {share(model.base_rate)}"),
        Text(f"{model.learned:,} labels, {model.scored:,} judged", style="bright_black", no_wrap=True),
    ]
    if not model.bins:
        return Group(*lines)
    if height - len(lines) > len(model.bins) + 1:
        return Group(*lines, _reliability(model, width))
    said = "".join(_block(said) for said, _ in model.bins)
    came = "".join(_block(came) for _, came in model.bins)
    return Group(
        *lines,
        Text.assemble("said ", (said, "cyan")),
        Text.assemble("came ", (came, "magenta")),
    )


def _block(value: float) -> str:
    """A ratio as the height of one character, twice over."""
    return _BLOCKS[max(1, min(8, round(value * 8)))] * 2


def _reliability(model: Model, width: int) -> RenderableType:
    """Bin by bin: what the scores said, and what came."""
    room = max(4, (width - 12) // 2)
    grid = Table.grid(padding=(0, 1, 0, 0))
    for justify, columns in (("right", 5), ("left", room), ("right", 5), ("left", room)):
        grid.add_column(justify=justify, width=columns, no_wrap=True)  # type: ignore[arg-type]
    grid.add_row(Text("said", style="cyan"), "", Text("came", style="magenta"), "")
    for said, came in model.bins:
        grid.add_row(
            share(said), Text(_bar(said, room), style="cyan"), share(came), Text(_bar(came, room), style="magenta")
        )
    return grid


def _changes(changes: tuple[Change, ...], most: int, width: int) -> RenderableType:
    if not changes:
        return Text("none yet", style="bright_black")
    lines: list[Text] = []
    for change in changes[:most]:
        style = STAGE_STYLES.get(change.current or "") or BAND_STYLES.get(change.current or "", "bold")
        head = Text.assemble(
            (moment_text(change.at_ms) if width >= _WIDE else moment_text(change.at_ms)[:5], "bright_black"),
            "  ",
            (change.user_id, "bold"),
            "  ",
            (move_text(change), style),
            (f", by {cause_text(change)}", "bright_black"),
        )
        lines += [head, Text(f"  {evidence_text(change)}", style="bright_black")]
    return Group(*(_cut(line, width) for line in lines))


def _ranked_by(view: View) -> str:
    return "by silence, until there is a model" if view.model.cold else "two orders or more, not churned yet"


def _riskiest(customers: tuple[Customer, ...], rows: int, width: int) -> RenderableType:
    """As many as there are rows for, each with the reasons that there is room for."""
    if not customers:
        return Text("nobody yet", style="bright_black")
    most = 2 if rows >= _ROOMY else 1
    lines: list[Text] = []
    for customer in customers:
        reasons = customer.reasons[:most]
        if len(lines) + 1 + len(reasons) > rows:
            break
        style = BAND_STYLES.get(customer.band or "", "yellow")
        stage = customer.stage or ""
        lines.append(
            Text.assemble(
                (customer.user_id, "bold"),
                "  ",
                (f"{risk_text(customer):<17}", style),
                (f"{stage:<12}", STAGE_STYLES.get(stage, "")),
                f"  {customer.tier or ''}",
            )
        )
        lines += [Text(f"  {reason}", style="bright_black") for reason in reasons]
    return Group(*(_cut(line, width) for line in lines))


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line
