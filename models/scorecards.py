"""Scorecards as they are published: one record per head, derived from a cut; and ``scorecard.json`` of a whole run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from models.accounts import Account
from models.contest import evidence_of
from models.instants import instant_text
from models.scorecard import Scorecard

OUTCOMES: Final = {"churn": "churned", "propensity": "bought"}
"""What a positive label of each head that has a scorecard says."""

AccountOf = Callable[[str], Account | None]
"""What became of the scheduled scores of a head."""


def scorecard_records(cut: Mapping[str, Any], account_of: AccountOf) -> list[dict[str, Any]]:
    """The ``model-scorecard`` records of a cut: a function of the cut, but for the accounts.

    Raises
    ------
    ValueError, KeyError, TypeError
        On a cut that does not hold together.
    """
    cards = {
        name: Scorecard.from_state(state["scorecard"], whole_run=False)
        for name, state in cut["heads"].items()
        if name in OUTCOMES
    }
    return [_record(name, card, cut, account_of) for name, card in cards.items()]


def run_document(
    cards: Mapping[str, Scorecard], cut: Mapping[str, Any] | None, account_of: AccountOf
) -> dict[str, Any]:
    """``scorecard.json`` of a finished run: every head's record under ``heads``, with the figures of the whole run.

    Beside them stands the scorecard of churn, in the words it has always had.

    Parameters
    ----------
    cards
        By head; they may have kept every label.
    cut
        The last one of the run, if any was made.
    account_of
        What became of the scheduled scores of a head.
    """
    heads = {name: _record(name, card, cut, account_of) for name, card in cards.items() if name in OUTCOMES}
    return {**in_words_of_churn(heads.get("churn", {})), "heads": heads}


def _record(name: str, card: Scorecard, cut: Mapping[str, Any] | None, account_of: AccountOf) -> dict[str, Any]:
    head = {} if cut is None else cut["heads"][name]
    return {
        "type": "scorecard",
        "head": name,
        "outcome": OUTCOMES[name],
        "horizon_days": head.get("horizon_days"),
        "version": None if cut is None else cut["version"],
        "as_of": None if cut is None else instant_text(cut["day"]),
        "cold_start": head.get("cold_start", True),
        "champion": head.get("champion"),
        "challengers": evidence_of(head),
        **card.summary(),
        "observations": observations(account_of(name)),
    }


def observations(account: Account | None) -> dict[str, Any] | None:
    """An account, JSON-ready: its states, ``pending``, and over how many partitions and since when."""
    if account is None:
        return None
    since = instant_text(account.since_ms) if account.since_ms else None
    return {**account.counts, "pending": account.pending, "partitions": account.partitions, "since": since}


def in_words_of_churn(card: Mapping[str, Any]) -> dict[str, Any]:
    """A scorecard with ``churned`` beside ``positives``, as programs that read ``scorecard.json`` know it."""
    words = {
        "positives": "churned",
        "positive_ratio": "churned_ratio",
        "scored_positive_ratio": "scored_churned_ratio",
        "observed_ratio": "churned_ratio",
    }

    def said(value: Any) -> Any:
        if isinstance(value, Mapping):
            told = {key: said(one) for key, one in value.items()}
            return told | {words[key]: one for key, one in told.items() if key in words}
        return [said(one) for one in value] if isinstance(value, list) else value

    result: dict[str, Any] = said(card)
    return result
