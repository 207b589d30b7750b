"""The tally of scheduled scores: what the engine says of each user adds up to what waits in their profiles."""

from __future__ import annotations

from streams.core.ports import Facts
from streams.core.tally import Tally, decode_tally, encode_tally, pending, waiting


def test_a_score_is_counted_for_its_user_and_head() -> None:
    facts = Facts()
    facts.tally("ann", "churn", "opened")
    facts.tally("ann", "churn", "opened")
    facts.tally("ben", "propensity", "opened")
    assert facts.tallies == {"ann": {"churn": {"opened": 2}}, "ben": {"propensity": {"opened": 1}}}


def test_facts_of_churn_are_counted_over_all_users() -> None:
    facts = Facts()
    facts.tally("ann", "churn", "erased", 2)
    facts.tally("ben", "churn", "erased", 1)
    assert facts.erased == 3


def test_no_score_is_no_entry() -> None:
    facts = Facts()
    facts.tally("ann", "churn", "erased", 0)
    assert facts.tallies == {}


def test_adding_leaves_the_tally_before_as_it_was() -> None:
    before = Tally(counts={"churn": {"opened": 1}})
    before.plus({"churn": {"opened": 1}})
    assert before.counts == {"churn": {"opened": 1}}


def test_pending_is_what_came_to_nothing_yet() -> None:
    assert pending({"opened": 9, "bought": 2, "stayed_away": 3, "erased": 1}) == 3


def test_a_tally_survives_storing() -> None:
    tally = Tally(since=5, counts={"churn": {"opened": 2}, "propensity": {"bought": 1}})
    assert decode_tally(encode_tally(tally)) == tally


def test_profiles_that_nobody_counted_begin_with_what_waits() -> None:
    begun = waiting([{"churn": 2, "propensity": 0}, {"churn": 1, "propensity": 4}], 77)
    assert begun == Tally(since=77, counts={"churn": {"opened": 3}, "propensity": {"opened": 4}})


def test_who_begins_without_profiles_has_counted_for_ever() -> None:
    assert waiting([], 77) == Tally(since=0)
