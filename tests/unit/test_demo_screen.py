"""What a demo shows: the screen fits every terminal, the report has the same content in plain lines."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from streams.demo.books import Entry
from streams.demo.report import closing, progress_line
from streams.demo.screen import Status, draw
from streams.demo.showing import PlainLines
from streams.demo.verdict import Catch, Verdict
from streams.demo.view import Change, Customer, Model, Progress, View

DAY_MS = 86_400_000
STATUS = Status("a simulated shop", "live", 2_000, 12.4, "http://127.0.0.1:6066")
MODEL = Model(
    version="20240301-abc",
    learned=1_234,
    cold=False,
    scored=5_678,
    base_rate=0.22,
    auc=0.91,
    log_loss=0.27,
    brier=0.08,
    ece=0.06,
    bins=tuple((n / 10, n / 10) for n in range(10)),
)
CHANGES = tuple(
    Change(n * DAY_MS, f"u{n:02d}", "lifecycle", "loyal", "at_risk", "silence",
           {"days_since_last_order": 20.0, "usual_gap_days": 10.0, "orders": 13})
    for n in range(12)
)  # fmt: skip
CUSTOMERS = tuple(
    Customer(f"c{n:02d}", "at_risk", "gold", True, 0.9, None, "critical", ("searches more than usual", "spends less"))
    for n in range(12)
)
LIVE = View(
    progress=Progress(1_500, 1_000, 980, 5, 15, 3, 500, 60 * DAY_MS),
    per_second=4_321.0,
    stages=(("visitor", 10), ("loyal", 700), ("churned", 3)),
    changes=CHANGES,
    riskiest=CUSTOMERS,
    model=MODEL,
    outputs={"churn-risk": 100, "segment-changes": 50},
    dead_letters={"not_json": 15},
    late=4,
)
NOTHING = View(Progress(), 0.0, (), (), (), Model(), {}, {}, 0)
COLD = View(LIVE.progress, 0.0, LIVE.stages, CHANGES, CUSTOMERS, Model(learned=400), {}, {}, 0)


def drawn(view: View, width: int, height: int, status: Status = STATUS) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(draw(status, view, width, height), height=height)
    return [line.rstrip("\n") for line in capture.get().splitlines()]


@pytest.mark.parametrize("view", [LIVE, NOTHING, COLD], ids=["live", "nothing", "cold"])
@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24), (200, 60), (60, 16)])
def test_the_screen_has_the_size_of_the_terminal(view: View, width: int, height: int) -> None:
    lines = drawn(view, width, height)
    assert len(lines) == height
    assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24)])
@pytest.mark.parametrize(
    "shown",
    [
        "4,321 events/s",
        "lag 500",
        "loyal           700",
        "u00  loyal -> at_risk, by silence",
        "no order for 20.0 d, usual gap 10.0 d",
        "c00  0.90 critical",
        "searches more than usual",
        "AUC 0.91",
        "ECE 0.06",
        "base rate 0.22",
        "said",
        "came",
    ],
)
def test_the_screen_shows(shown: str, width: int, height: int) -> None:
    assert shown in "\n".join(drawn(LIVE, width, height))


def test_while_cold_the_screen_says_how_far_the_learning_is() -> None:
    assert "learning: 400 of 1,000 labels" in "\n".join(drawn(COLD, 120, 40))


def test_before_the_first_record_the_screen_says_what_is_being_done() -> None:
    assert "starting the broker" in "\n".join(drawn(NOTHING, 80, 24, Status("a shop", "starting the broker", 10, 0.0)))


def test_names_that_look_like_markup_are_shown_as_they_are() -> None:
    view = View(
        Progress(), 0.0, (), (), (Customer("[red]x[/]", "loyal", None, True, 0.5, None, "high"),), MODEL, {}, {}, 0
    )
    assert "[red]x[/]" in "\n".join(drawn(view, 120, 40))


def test_a_progress_line_tells_time_rate_lag_stages_and_the_model() -> None:
    assert progress_line(STATUS, LIVE) == (
        "  12 s  1970-03-02  1,000 records, 4,321/s, lag 500 | loyal 700, at_risk 0, churned 3 | "
        "AUC 0.91, ECE 0.06, base rate 0.22"
    )


def test_before_the_first_record_a_progress_line_tells_the_phase() -> None:
    assert progress_line(Status("t", "creating topics", 9, 1.0), NOTHING) == "   1 s  creating topics"


def test_plain_lines_come_with_every_phase_and_every_five_seconds() -> None:
    said: list[str] = []
    lines = PlainLines(said.append)
    for phase, second in (("a", 0.0), ("a", 1.0), ("b", 2.0), ("b", 6.9), ("b", 7.0), ("b", 8.0)):
        lines.show(Status("t", phase, 9, second), NOTHING)
    assert [line.split()[0] for line in said] == ["0", "2", "7"]


VERDICT = Verdict(
    slipping=10,
    too_early=1,
    catches=(Catch("a", 0, 40 * DAY_MS, 10 * DAY_MS), Catch("b", 0, 40 * DAY_MS, None)),
    by_chance=0.17,
    since_ms=5 * DAY_MS,
)


def report(verdict: Verdict | None = VERDICT, entries: list[Entry] | None = None) -> str:
    sections = closing(
        STATUS, LIVE, verdict=verdict, entries=entries or [], span=(0, 60 * DAY_MS), where_next=["ebbtide worker"]
    )
    return "\n".join(line for section in sections for line in (section.title, *section.lines))


@pytest.mark.parametrize(
    "shown",
    [
        "1,000 of 2,000 records read = 980 accepted + 5 duplicates + 15 rejected",
        "dead letters: not_json 15",
        "loyal            700",
        "u00  loyal -> at_risk; by silence: no order for 20.0 d, usual gap 10.0 d, 13 orders",
        "c00  0.90 critical  (at_risk, gold)",
        "spends less",
        "AUC 0.91, log loss 0.27, Brier 0.08, calibration error 0.06, base rate 0.22",
        "2 of them passed their churn limit",
        "caught in the top decile before that: 1 of 2 (50 %)",
        "by chance, regulars in the top decile over the same days: 17 %",
        "median 30.0 days before their limit",
        "ebbtide worker",
    ],
)
def test_the_report_says(shown: str) -> None:
    assert shown in report()


def test_without_a_truth_the_report_holds_nothing_against_it() -> None:
    assert "truth" not in report(verdict=None)


def test_where_the_model_ranked_nobody_the_report_says_so() -> None:
    assert "too little of the shop was read" in report(Verdict(10, 0, (), None, None))


def test_books_that_balance_say_so() -> None:
    assert "every count adds up" in report(entries=[Entry("clicks", 5, 5, "user-profiles")])


def test_books_that_do_not_balance_name_what_is_wrong() -> None:
    said = report(entries=[Entry("clicks", 5, 4, "user-profiles"), Entry("orders", 2, 2, "user-profiles")])
    assert "these do not add up: clicks" in said
    assert "every count adds up" not in said


def test_fewer_late_ones_than_put_in_are_explained() -> None:
    assert "(*: the others came before" in report(entries=[Entry("late", 5, 4, "late-events", exact=False)])
