"""How dead letters are shown: tables and lines for a person, JSON for a script."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from streams.cli.terminal import printable, say, table
from streams.core.instants import format_instant

if TYPE_CHECKING:
    from streams.replay.letters import DeadLetter, Group, Standing
    from streams.replay.mending import Mended
    from streams.replay.redrive_plan import Plan, RedriveReport

_MESSAGE_CHARS: Final = 70
_VALUE_CHARS: Final = 40


def tell_groups(groups: list[Group]) -> None:
    """The table of ``list``."""
    from streams.replay.letters import Standing

    standings = [Standing.OPEN, Standing.PARKED, Standing.REDRIVEN, Standing.DROPPED]
    if any(group.standings[Standing.UNSURE] for group in groups):
        standings.append(Standing.UNSURE)
    table(
        ("reason", "from", *map(str, standings), "first", "last", "example", "which says"),
        [
            (
                group.reason,
                group.topic or "?",
                *(f"{group.standings[standing]:,}" for standing in standings),
                _second(group.first_ms),
                _second(group.last_ms),
                group.example.place,
                _shortened(group.example.message, _MESSAGE_CHARS),
            )
            for group in groups
        ],
    )


def group_json(group: Group) -> str:
    """A line of ``list --json``."""
    from streams.replay.letters import Standing

    return _json(
        {
            "reason": group.reason,
            "topic": group.topic,
            "letters": group.letters,
            **{str(standing): group.standings[standing] for standing in Standing},
            "first": format_instant(group.first_ms),
            "last": format_instant(group.last_ms),
            "example": group.example.place,
            "message": group.example.message,
        }
    )


def tell_each(letter: DeadLetter, standing: Standing) -> None:
    """A line of ``list --each``."""
    words = (
        letter.place,
        _second(letter.rejected_ms),
        standing,
        letter.reason,
        _origin(letter),
        f"attempts {letter.attempts}",
        letter.message,
    )
    say(printable("  ".join(words)))


def each_json(letter: DeadLetter, standing: Standing, *, whole: bool = False) -> str:
    """A line of ``list --each --json``; ``whole``: with key, headers and value, as ``show --json``."""
    body: dict[str, Any] = {
        "partition": letter.partition,
        "offset": letter.offset,
        "state": str(standing),
        "reason": letter.reason,
        "message": letter.message,
        "topic": letter.topic,
        "origin_partition": letter.origin_partition,
        "origin_offset": letter.origin_offset,
        "published": None if letter.published_ms is None else format_instant(letter.published_ms),
        "rejected": format_instant(letter.rejected_ms),
        "attempts": letter.attempts,
        "cut": letter.cut,
    }
    if whole:
        body["key"] = _text_or_base64(letter.key)
        body["headers"] = [[name, _text_or_base64(value)] for name, value in letter.headers]
        body["value"] = _text_or_base64(letter.value)
    return _json(body)


def show_letter(letter: DeadLetter, standing: Standing) -> None:
    """One letter whole."""
    from streams.dead_letters import PARKED_AFTER

    facts = [
        ("reason", f"{letter.reason}: {letter.message}"),
        ("from", _origin(letter)),
        ("published", "not known" if letter.published_ms is None else _second(letter.published_ms)),
        ("rejected", _second(letter.rejected_ms)),
        ("state", f"{standing}, {letter.attempts} of {PARKED_AFTER} redrives failed"),
        ("key", "none" if letter.key is None else _readable(letter.key) or "(empty)"),
        *((f"header {name}", _readable(value)) for name, value in letter.headers),
        ("value", "none" if letter.value is None else f"{len(letter.value):,} bytes{', cut' if letter.cut else ''}"),
    ]
    say(f"dead letter {letter.place}")
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        say(printable(f"{name.ljust(width)}  {value}"))
    if letter.value:
        say()
        for line in _pretty(letter.value):
            say(printable(line))


def show_plan(plan: Plan, *, dropping: bool, anyway: bool) -> None:
    """What would happen, before it does."""
    if plan.letters:
        if dropping:
            table(
                ("reason", "from", "to be dropped"),
                [(reason, topic or "?", f"{row.accepted:,}") for (reason, topic), row in plan.rows.items()],
            )
        else:
            table(
                ("reason", "from", "would be accepted", "rejected again", "as"),
                [
                    (
                        reason,
                        topic or "?",
                        f"{row.accepted:,}",
                        f"{row.again.total():,}",
                        ", ".join(f"{name} {count:,}" for name, count in row.again.most_common()),
                    )
                    for (reason, topic), row in plan.rows.items()
                ],
            )
        for mended in plan.examples:
            say(printable(f"{mended.letter.place}  {_changes(mended)}"))
        for mended in plan.refused:
            why = "" if mended.rejection is None else f"{mended.rejection.reason}: {mended.rejection.message}"
            say(printable(f"{mended.letter.place}  {_changes(mended)}; still {why}"))
    else:
        say("Nothing to redrive.")
    decided = ", ".join(f"{count:,} {standing}" for standing, count in sorted(plan.left_out.items()))
    if decided:
        say(f"Left out: {decided}.{' --parked offers parked ones.' if 'parked' in plan.left_out else ''}")
    if plan.impossible:
        say(f"{plan.impossible:,} cannot be sent at all: their record is cut, or they name no input.")
    if plan.again > plan.impossible:
        say(
            f"{plan.again - plan.impossible:,} would be rejected again: "
            + ("each failure counts, the third parks." if anyway else "they stay here unless --anyway is given.")
        )


def tell_report(report: RedriveReport) -> None:
    """What was done."""
    if report.found:
        say(f"{report.found:,} had been sent by a redrive that was cut short.")
    if report.dropped:
        say(f"{_counted(report.dropped, 'letter')} dropped.")
        return
    sent = ", ".join(f"{topic} {count:,}" for topic, count in sorted(report.sent.items()))
    say(f"{_counted(report.sent.total(), 'record')} sent again{f': {sent}' if sent else ''}.")
    if report.refused:
        say(f"{report.refused:,} left out, as they would be rejected again.")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _changes(mended: Mended) -> str:
    from streams.replay.mending import ABSENT, differences

    words = [
        f"{name}: {'(absent)' if old is ABSENT else _value(old)} -> {_value(new)}"
        for name, old, new in differences(mended.before, mended.after)
    ]
    if mended.partition != mended.letter.origin_partition:
        words.append(f"partition {mended.letter.origin_partition} -> {mended.partition}")
    return "; ".join(words) or "as it was"


def _value(value: Any) -> str:
    return _shortened(json.dumps(value, ensure_ascii=False), _VALUE_CHARS)


def _origin(letter: DeadLetter) -> str:
    return f"{letter.topic or '?'} {letter.origin_partition}:{letter.origin_offset}"


def _pretty(value: bytes) -> list[str]:
    """JSON laid out; else its text; else its bytes in hexadecimal."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return [f"{at:08x}  {value[at : at + 16].hex(' ')}" for at in range(0, len(value), 16)]
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False).splitlines()
    except (ValueError, RecursionError):
        return text.splitlines()


def _readable(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"


def _text_or_base64(value: bytes | None) -> str | dict[str, str] | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(value).decode()}


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _second(instant_ms: int) -> str:
    text = format_instant(instant_ms)
    return f"{text[:10]} {text[11:19]}"


def _json(body: dict[str, Any]) -> str:
    from streams.codec import encode

    return encode(body).decode()
