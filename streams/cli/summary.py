"""What an offline run tells at its end."""

from __future__ import annotations

from typing import Any

from streams.cli.terminal import say, table


def tell_summary(summary: dict[str, Any], unit: str, where: str, seconds: float) -> None:
    """Print a ``summary.json`` for a person: how much, from when to when, what became of it."""
    records = summary["records"]
    say(f"{records['read']:,} {unit} in {seconds:.1f} s ({records['read'] / max(seconds, 1e-9):,.0f}/s) -> {where}")
    span = summary["event_time"]
    if span["from"] is not None:
        say(f"event time {span['from']} to {span['to']}, watermark {summary['watermark']}")
    say()
    table(("records", "count"), [(name, f"{count:,}") for name, count in records.items()])
    for title, name, counted in (
        ("rejected", "rejected_by_reason", "count"),
        ("stage", "users_by_stage", "users"),
        ("output", "outputs", "messages"),
    ):
        if summary[name]:
            say()
            table((title, counted), [(key, f"{count:,}") for key, count in summary[name].items()])
    if (highest := summary["highest_share_of_changes"]) is not None:
        say()
        say(
            f"stage changes at once: {highest['changed']:,} of {highest['users']:,} users ({highest['share']:.0%}), "
            f"in the minute from {highest['minute']}; a worker holds its outputs above EBBTIDE_HOLD_SHARE"
        )
    observed = summary["observations"]
    say()
    say(
        f"{observed['opened']:,} scheduled scores: {observed['churned']:,} churned, {observed['returned']:,} returned, "
        f"{observed['pending']:,} wait for their label, {observed['erased']:,} erased"
    )
    for name, value in summary["hashes"].items():
        say(f"{name} hash {value or '-'}")
