"""``ebbtide dead-letters``: what was rejected, why, and sending it again once it is mended."""

from __future__ import annotations

import re
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli.instants import instant
from streams.cli.letter_texts import each_json, group_json, show_letter, show_plan, tell_each, tell_groups, tell_report
from streams.cli.terminal import examples, note, progress, say, settings_here

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from streams.replay.letters import DeadLetter, Wanted
    from streams.replay.mending import Mending
    from streams.replay.redrive_desk import StoredLetters
    from streams.replay.redrive_plan import Plan, RedriveReport
    from streams.settings import Settings

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_AGO_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PLACE: Final = re.compile(r"(\d{1,9}):(\d{1,18})")

Reasons = Annotated[
    list[str] | None, typer.Option("--reason", metavar="CODE", help="Only this reason code; may be given repeatedly.")
]
OfTopic = Annotated[
    str | None, typer.Option("--topic", metavar="INPUT", help="Only from clicks, searches or purchases.")
]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Rejected at or after: 2024-05-01T10:00Z, or 90m, 2h, 1d ago.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Rejected at or before, in the same forms.")]
OfPartition = Annotated[int | None, typer.Option("--partition", min=0, metavar="N", help="Only this partition.")]
FromOffset = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="Only letters at or after this offset of dead-letters.")
]
ToOffset = Annotated[int | None, typer.Option(min=0, metavar="N", help="Only letters at or before it.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        help="Rejected records: count them by reason, look at one, send them again mended, or drop them.",
        no_args_is_help=True,
        epilog=examples(
            ("what was rejected, by reason", "ebbtide dead-letters list --since 1d"),
            ("one of them, whole", "ebbtide dead-letters show 3:17"),
            ("what would become of them; nothing is sent", "ebbtide dead-letters redrive --reason bad_price --dry-run"),
            ("send them again, mended", "ebbtide dead-letters redrive --reason bad_price --set price=0"),
            ("the field had another name", "ebbtide dead-letters redrive --reason missing_user --set user_id=@userId"),
            ("never offer them again", "ebbtide dead-letters redrive --reason not_json --drop"),
            more="A letter is known by its place in the topic dead-letters, PARTITION:OFFSET. Times are UTC.",
        ),
    )
    group.command("list")(list_letters)
    group.command("show")(show)
    group.command("redrive")(redrive)
    app.add_typer(group, name="dead-letters")


def list_letters(
    reason: Reasons = None,
    topic: OfTopic = None,
    since: Since = None,
    until: Until = None,
    partition: OfPartition = None,
    from_offset: FromOffset = None,
    to_offset: ToOffset = None,
    each: Annotated[bool, typer.Option("--each", help="Every letter by itself instead of counts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Count dead letters by reason and input, with the first and last time and an example of each.

    open: waits to be decided. redriven: was sent again. dropped: is never offered again. parked: was rejected again by
    the third redrive; --parked offers it. A letter that a worker wrote twice, after a crash, counts once.
    """
    from streams.replay.letters import grouped
    from streams.replay.redrive_desk import StoredLetters, stored_ledger

    settings = settings_here()
    wanted = _wanted(reason, topic, since, until, partition, from_offset, to_offset)
    stored = StoredLetters(settings)
    ledger = stored_ledger(settings, _lease_ms(settings))
    with _read(stored) as letters:
        found = ((one, one.standing(ledger.standing(one.id))) for one in letters if wanted.has(one))
        if each:
            for letter, standing in found:
                if as_json:
                    say(each_json(letter, standing))
                else:
                    tell_each(letter, standing)
            return
        groups = grouped(found)
    if as_json:
        for group in groups:
            say(group_json(group))
    elif groups:
        tell_groups(groups)
    else:
        say("No dead letters." if not wanted.asks else "No dead letters like that.")


def show(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="Its place, as `list` shows it.")],
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Show one letter whole: why and where it was rejected, its attempts, headers, and the original bytes."""
    from streams.replay.redrive_desk import StoredLetters, stored_ledger

    named = _PLACE.fullmatch(place)
    if named is None:
        raise typer.BadParameter(f"{place!r} is no PARTITION:OFFSET, as in 3:17")
    settings = settings_here()
    letter = StoredLetters(settings).one(int(named[1]), int(named[2]))
    standing = letter.standing(stored_ledger(settings, _lease_ms(settings)).standing(letter.id))
    if as_json:
        say(each_json(letter, standing, whole=True))
    else:
        show_letter(letter, standing)


def redrive(
    reason: Reasons = None,
    topic: OfTopic = None,
    since: Since = None,
    until: Until = None,
    partition: OfPartition = None,
    from_offset: FromOffset = None,
    to_offset: ToOffset = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Set a field: value as JSON, else text; @OTHER takes another field's value, @kafka_timestamp the time "
            "of publishing; lines.*.price reaches into every line. May be given repeatedly.",
        ),
    ] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Send nothing: mark the letters, never to be offered again.")
    ] = False,
    parked: Annotated[bool, typer.Option("--parked", help="Parked letters too.")] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also send what would be rejected again; its third failure parks it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    rate: Annotated[float | None, typer.Option(metavar="N", help="Records per second, at most.")] = None,
) -> None:
    """Send dead letters to the inputs that they came from, mended with --set; or --drop them.

    First the records are cleaned as the worker would with the present policy, and a table says what would happen. A
    letter is sent once, however often the command is run, cut short or run twice at once. A record without an event_id
    gets one made of its place, so a repeat would be dropped. Redriven records may be late by up to 365 days.
    """
    from streams.core.events import INPUT_TOPICS
    from streams.provisioning import check_topics, ensure_topics
    from streams.replay.redrive_desk import StoredLetters
    from streams.topics import DEAD_LETTER_DECISIONS

    if drop and (assignments or anyway or rate is not None):
        raise typer.BadParameter("--drop sends nothing, so --set, --anyway and --rate do not go with it")
    if rate is not None and not 0 < rate < float("inf"):
        raise typer.BadParameter("--rate must be more than 0")
    wanted = _wanted(reason, topic, since, until, partition, from_offset, to_offset)
    settings = settings_here()
    mending = None if drop else _mending(settings, assignments or [])
    check_topics(settings, INPUT_TOPICS)  # another number of partitions would send users to the wrong ones
    stored = StoredLetters(settings)
    planned = _plan(stored, settings, wanted, mending, parked=parked)
    show_plan(planned, dropping=drop, anyway=anyway)
    count = planned.letters if drop else planned.accepted + (planned.again - planned.impossible if anyway else 0)
    if dry_run or not count:
        return
    verb = "Drop" if drop else "Send"
    if not yes:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise typer.BadParameter("nothing was done: there is no terminal to ask on; add --yes, or --dry-run")
        if not typer.confirm(f"{verb} {count:,} records?", default=False):
            note("Nothing was done.")
            raise typer.Exit(1)
    ensure_topics(settings, [DEAD_LETTER_DECISIONS])
    tell_report(_carry_out(settings, wanted, mending, planned, count, parked=parked, anyway=anyway, rate=rate))


def _plan(stored: StoredLetters, settings: Settings, wanted: Wanted, mending: Mending | None, *, parked: bool) -> Plan:
    from streams.replay.letters import Standing
    from streams.replay.redrive_desk import stored_ledger
    from streams.replay.redrive_plan import Choice, plan

    ledger = stored_ledger(settings, _lease_ms(settings))
    # What a run that was cut short may have sent is looked up before anything is sent: so it is offered.
    offered = {Standing.OPEN, Standing.UNSURE} | ({Standing.PARKED} if parked else set())
    with _read(stored) as letters:
        return plan(letters, Choice(wanted, ledger, frozenset(offered)), mending)


def _carry_out(
    settings: Settings,
    wanted: Wanted,
    mending: Mending | None,
    planned: Plan,
    count: int,
    *,
    parked: bool,
    anyway: bool,
    rate: float | None,
) -> RedriveReport:
    from streams.replay.letters import Standing
    from streams.replay.redrive import Redrive
    from streams.replay.redrive_desk import KafkaDesk, StoredLetters
    from streams.replay.redrive_plan import Choice, carry_out

    def waits(seconds: float) -> None:
        note(f"Another redrive has not ended; waiting up to {seconds:.0f} s in case it is still at work.")

    offered = {Standing.OPEN} | ({Standing.PARKED} if parked else set())
    with KafkaDesk(settings) as desk, Redrive(desk, uuid.uuid4().hex, _lease_ms(settings), on_wait=waits) as run:
        choice = Choice(wanted, run.ledger, frozenset(offered), upto=planned.upto)
        with progress("records") as bar:
            shown = Progress(bar, bar.add_task("drop" if mending is None else "redrive", total=count), count)
            try:
                stored = StoredLetters(settings)
                return carry_out(
                    run,
                    stored.read(),
                    choice,
                    mending,
                    anyway=anyway,
                    rate=rate,
                    forget=stored.lost_some,
                    on_progress=shown.advance,
                )
            except KeyboardInterrupt:
                note(f"{shown.done:,} of {count:,} letters are done; the same command goes on from there.")
                raise


class Progress:
    """What is told while it runs: a bar on a terminal, a line now and then elsewhere."""

    LINE_EVERY_S = 10.0

    def __init__(self, bar: Bar, task: TaskID, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar = bar
        self._task = task
        self._count = count
        self._clock = clock
        self._line_at = clock() + self.LINE_EVERY_S
        self.done = 0

    def advance(self, letters: int) -> None:
        """So many more are done."""
        self.done += letters
        self._bar.advance(self._task, letters)
        if self._bar.disable and self._clock() >= self._line_at:
            self._line_at = self._clock() + self.LINE_EVERY_S
            note(f"{self.done:,} of {self._count:,} letters are done.")


def _mending(settings: Settings, assignments: list[str]) -> Mending:
    from streams.core.cleaning import cleaning_policy
    from streams.policies.reader import read_policy
    from streams.replay.mending import Mending, parse_assignment

    policy = cleaning_policy(read_policy(settings.policy))
    found = [parse_assignment(text) for text in assignments]
    return Mending(found, policy, settings.partitions, now_ms=time.time_ns() // 1_000_000)


def _wanted(
    reasons: list[str] | None,
    topic: str | None,
    since: str | None,
    until: str | None,
    partition: int | None,
    from_offset: int | None,
    to_offset: int | None,
) -> Wanted:
    from streams.core.cleaning import REASONS
    from streams.core.events import INPUT_TOPICS
    from streams.replay.letters import UNKNOWN_REASON, Wanted

    for name in reasons or []:
        if name not in (*REASONS, UNKNOWN_REASON):
            raise typer.BadParameter(f"--reason {name!r} is none of {', '.join(REASONS)}")
    if topic is not None and topic not in INPUT_TOPICS:
        raise typer.BadParameter(f"--topic {topic!r} is none of {', '.join(INPUT_TOPICS)}")
    return Wanted(
        frozenset(reasons or []),
        topic,
        None if since is None else _instant(since, "--since"),
        None if until is None else _instant(until, "--until"),
        partition,
        from_offset,
        to_offset,
    )


def _instant(text: str, option: str, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> int:
    ago = _AGO.fullmatch(text.strip())
    return instant(text, option) if ago is None else now_ms() - int(ago[1]) * _AGO_MS[ago[2]]


@contextmanager
def _read(stored: StoredLetters) -> Iterator[Iterator[DeadLetter]]:
    with progress("letters") as bar:
        task = bar.add_task("read", total=stored.total)
        yield stored.read(lambda read: bar.update(task, completed=read))


def _lease_ms(settings: Settings) -> int:
    """A send that was not acknowledged within it is given up, so whoever waits that long is alone."""
    return int(settings.ack_timeout_s * 1000)
