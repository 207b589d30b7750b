"""``ebbtide profile USER``: what is known of one customer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.terminal import examples, is_terminal, printable, say, settings_here, stdout, table

if TYPE_CHECKING:
    from streams.replay.portraits import Known


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "profile",
        epilog=examples(
            ("as of now, from Kafka", "ebbtide profile 17850"),
            ("from a backfill, with its last changes and risk", "ebbtide profile 17850 --from out"),
            ("for a script", "ebbtide profile 17850 --from out --json"),
            more="Exit code 1: nobody by that id is known.",
        ),
    )(profile)


def profile(
    user: Annotated[str, typer.Argument(metavar="USER", help="The user_id.")],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="DIR", help="Result folder of backfill or replay; without it the topic user-profiles."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The portrait's body as it stands there.")] = False,
) -> None:
    """Show a customer's portrait: stage, value, risk, and what was bought, clicked and searched in each window."""
    from streams.replay.portraits import from_folder, from_topic

    try:
        user.encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter("USER is not UTF-8") from error
    known = from_folder(user, folder) if folder is not None else from_topic(user, settings_here())
    if as_json:
        say(known.raw.decode())
    else:
        _show(known)


def _show(known: Known) -> None:
    body = known.portrait
    user, stage, since = (
        printable(body["user_id"]),
        _words(body["lifecycle"]["stage"]),
        _day(body["lifecycle"]["since"]),
    )
    headline = f"{user}: {stage} since {since}"
    if is_terminal():
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        for name, value in _facts(body):
            grid.add_row(Text(name, style="dim"), Text(value))
        stdout().print(Panel(grid, title=Text(headline, style="bold"), title_align="left", expand=False))
    else:
        say(headline)
        facts = list(_facts(body))
        width = max(len(name) for name, _ in facts)
        for name, value in facts:
            say(f"{name.ljust(width)}  {value}")
    say()
    names = ("orders", "amount", "clicks", "searches")
    table(
        ("window", *names),
        [
            (name, f"{sums['orders']:,}", f"{sums['amount']:,.2f}", f"{sums['clicks']:,}", f"{sums['searches']:,}")
            for name, sums in [*body["windows"].items(), ("ever", body["totals"])]
        ],
    )
    if body["interests"]:
        say()
        table(("interest", "share"), [(one["category"], f"{one['weight']:.0%}") for one in body["interests"]])
    if known.risk is not None:
        _show_risk(known.risk)
    if known.changes:
        say()
        table(
            ("changed at", "what", "from", "to", "because"),
            [
                (
                    _minute(change["as_of"]),
                    _words(change["dimension"]),
                    _words(change["previous"]),
                    _words(change["current"]),
                    _because(change),
                )
                for change in known.changes
            ],
        )


def _facts(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    totals, value, risk = body["totals"], body["value"], body["risk"]
    yield "phase", _words(body["lifecycle"]["phase"])
    if value["tier"] is not None:
        yield "value", f"{value['tier']} (RFM {value['rfm']})"
    if risk is not None:
        yield "churn risk", _risk(risk["probability"], risk["band"], risk["as_of"])
    if (propensity := body.get("propensity")) is not None:
        told = f"{propensity['probability']:.0%} ({_minute(propensity['as_of'])})"
        yield f"buys within {propensity['horizon_days']} d", told
    yield "orders", f"{totals['orders']:,} with {totals['lines']:,} lines, {totals['amount']:,.2f} net"
    if totals["refunded"]:
        yield "refunded", f"{totals['refunded']:,.2f}"
    if body["first_order_at"] is not None:
        yield "first order", _minute(body["first_order_at"])
        yield "last order", _minute(body["last_order_at"])
    yield "first seen", _minute(body["first_seen_at"])
    yield "last seen", _minute(body["last_seen_at"])
    yield "as of", f"{_minute(body['as_of'])} (change {body['seq']:,}, {body['mode']})"


def _show_risk(risk: dict[str, Any]) -> None:
    say()
    told = _risk(risk["probability"], risk["band"], risk["as_of"])
    say(f"last risk: {told}, over {risk['horizon_days']} days, model {risk['model']['version'] or '-'}")
    for reason in risk["reasons"]:
        say(f"  + {printable(reason['text'])}")
    changed = risk.get("changed")
    if changed is not None:
        say(f"since the score before, {changed['probability']:.0%} ({_minute(changed['since'])}):")
        for one in changed["by"]:
            say(f"  {'+' if one['change'] > 0.0 else '-'} {printable(one['text'])}")


def _risk(probability: float | None, band: str | None, as_of: str) -> str:
    if probability is None:
        return f"not known yet, the model is still cold ({_minute(as_of)})"
    return f"{probability:.0%} {band} ({_minute(as_of)})"


def _because(change: dict[str, Any]) -> str:
    cause = change["cause"]
    if cause["kind"] == "event":
        return f"{change['rule']}; {cause['topic']} {cause['event_id']}"
    return f"{change['rule']}; {cause['kind']}"


def _words(name: str | None) -> str:
    return "-" if name is None else name.replace("_", " ")


def _minute(instant: str | None) -> str:
    return "-" if instant is None else f"{instant[:10]} {instant[11:16]}"


def _day(instant: str | None) -> str:
    return "-" if instant is None else instant[:10]
