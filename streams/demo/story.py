"""One customer's way out of the shop, as the messages told it."""

from __future__ import annotations

from collections.abc import Iterable

from streams.demo.report import Section
from streams.demo.state import Told
from streams.demo.verdict import Catch, Verdict
from streams.demo.words import day_text


def typical(verdict: Verdict) -> Catch | None:
    """The catch in the middle, by how early it was; None where nobody was caught."""
    caught = verdict.caught
    return caught[len(caught) // 2] if caught else None


def story(catch: Catch, history: Iterable[Told]) -> Section:
    """What was told of a customer from when they began to slip to their churn limit.

    Parameters
    ----------
    catch
        Of a customer who was caught.
    history
        Everything that was told.
    """
    assert catch.caught_ms is not None
    told = sorted(
        (each for each in history if each.user_id == catch.user_id and catch.slips_ms <= each.at_ms <= catch.limit_ms),
        key=lambda each: (each.at_ms, each.seq),
    )
    lines = [(catch.slips_ms, "begins to slip, as only the simulator knows")]
    before = [each for each in told if each.probability is not None and each.at_ms <= catch.caught_ms]
    if before:
        last = before[-1]
        lines.append((catch.caught_ms, f"in the top decile, probability {last.probability:.2f}"))
        lines += [(catch.caught_ms, f"  {reason}") for reason in last.reasons]
    probability: float | None = None
    for each in told:
        if each.probability is not None:
            probability = each.probability
        elif each.at_ms > catch.caught_ms:
            risk = "" if probability is None else f", probability {probability:.2f} by now"
            lines.append((each.at_ms, f"{each.stage}{risk}"))
    lines.sort(key=lambda line: line[0])
    days = round(catch.days_before or 0.0)
    return Section(
        f"One of them: {catch.user_id}, caught {days} days before the limit",
        [f"{day_text(at)}  {text}" for at, text in lines],
    )
