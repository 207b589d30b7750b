"""One partition as a shell would run it: every step's changed profiles are stored, everything told is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from importlib.resources import files

from streams.core.engine import GRACE_MS, PartitionEngine
from streams.core.events import Event
from streams.core.policy import Compiled, Policy, parse_policy
from streams.core.ports import ChurnScorer, Example, Output, Step
from streams.core.schedule import PROPENSITY_DAYS
from streams.core.state import State, decode_state
from streams.core.tally import CHURN, PROPENSITY, Counts, add
from tests.support.scorers import DailyCuts

POLICY = parse_policy(files("streams.policies").joinpath("default.toml").read_text(), "default.toml")
COMPILED = Compiled(POLICY)
HORIZON_DAYS = 30


class PartitionRun:
    """An engine, its store, and what it has told so far."""

    def __init__(
        self,
        scorer: ChurnScorer | None = None,
        *,
        policy: Policy = POLICY,
        horizon_days: int = HORIZON_DAYS,
        propensity_days: int = PROPENSITY_DAYS,
        grace_ms: int = GRACE_MS,
        cache_profiles: int | None = None,
    ) -> None:
        self.scorer = scorer or DailyCuts()
        self.policy = policy
        self.horizon_days = horizon_days
        self.propensity_days = propensity_days
        self.grace_ms = grace_ms
        self.cache_profiles = cache_profiles
        self.store: dict[str, bytes] = {}
        self.outputs: list[Output] = []
        self.examples: list[Example] = []
        """Of churn."""
        self.propensities: list[Example] = []
        """Of propensity."""
        self.rejected: list[str] = []
        self.facts: Counter[str] = Counter()
        self.tally: Counts = {}
        """What became of scheduled scores, by head."""
        self.engine = self._new_engine()

    def _new_engine(self) -> PartitionEngine:
        return PartitionEngine(
            self.policy,
            self.store,
            horizon_days=self.horizon_days,
            propensity_days=self.propensity_days,
            mode="replay",
            grace_ms=self.grace_ms,
            cache_profiles=self.cache_profiles,
        )

    def feed(self, events: Sequence[Event], *, slices: Iterable[int] = ()) -> Step:
        """Process events, cut into slices of the given sizes (the rest is one more); the last step is returned."""
        step = Step()
        for part in sliced(events, slices):
            step = self.take(self.engine.process(part, self.scorer))
        return step

    def advance(self, clock: int, *, watermark: int | None = None) -> Step:
        """Let silence pass; with ``watermark`` the log has moved on too."""
        return self.take(self.engine.advance(clock, self.scorer, watermark=watermark))

    def close(self, through: int) -> None:
        """Settle everything at or before an instant."""
        self.advance(through, watermark=through + 1)

    def take(self, step: Step) -> Step:
        """Store and keep what a step gave."""
        for user_id in step.changed:
            value = self.engine.encoded(user_id)
            if value is None:
                self.store.pop(user_id, None)
            else:
                self.store[user_id] = value
        self.outputs += step.outputs
        self.examples += [example for example in step.examples if example.head == CHURN]
        self.propensities += [example for example in step.examples if example.head == PROPENSITY]
        self.rejected += [event.id for event, _ in step.rejected]
        for counts in step.facts.tallies.values():
            add(self.tally, counts)
        for field in fields(step.facts):
            value = getattr(step.facts, field.name)
            if isinstance(value, int):
                self.facts[field.name] += value
        return step

    def restart(self, policy: Policy | None = None, *, one_by_one: bool = False) -> None:
        """Go on with a new engine that knows the stored bytes and the partition record, as after a crash."""
        old = self.engine
        self.policy = policy or self.policy
        self.engine = self._new_engine()
        self.engine.watermark, self.engine.newest, self.engine.clock = old.watermark, old.newest, old.clock
        if one_by_one:
            for user_id, value in self.store.items():
                self.engine.restore(user_id, value)
        else:
            self.engine.restore_all((user_id.encode(), self.store[user_id]) for user_id in sorted(self.store))

    # -- reading -----------------------------------------------------------------------------------------------------

    def state(self, user_id: str) -> State:
        """The settled state of a user as of W."""
        settled = self.engine.settled(user_id)
        assert settled is not None
        return decode_state(settled)

    def told(self, topic: str = "segment-changes", dimension: str | None = None) -> list[Output]:
        """What was told on a topic, of one dimension if named."""
        return [
            output
            for output in self.outputs
            if output.topic == topic and (dimension is None or output.body["dimension"] == dimension)
        ]

    def stages(self) -> list[str]:
        """The stages told, in order."""
        return [output.body["current"] for output in self.told(dimension="lifecycle")]

    def last_told(self) -> dict[tuple[str, str], object]:
        """What was last told per user and dimension."""
        return {(output.user_id, output.body["dimension"]): output.body["current"] for output in self.told()}

    def profiles(self) -> dict[str, bytes | None]:
        """What would be stored of everybody, settled through W: stored bytes may lag behind, as settling is lazy."""
        return {user_id: self.engine.settled(user_id) and self.engine.encoded(user_id) for user_id in self.store}

    def labels(self) -> set[tuple[str, bool, int, bytes | None]]:
        """Examples by what the trainer learns of them."""
        examples = (*self.examples, *self.propensities)
        return {(example.id, example.outcome, example.as_of_ms, example.features) for example in examples}

    def pending(self) -> int:
        """Scheduled scores that wait for their label."""
        return sum(self.engine.pending(user_id) for user_id in self.store)


def sliced(events: Sequence[Event], sizes: Iterable[int]) -> Iterator[Sequence[Event]]:
    """The events cut into slices of the given sizes, and one more for what is left."""
    at = 0
    for size in sizes:
        yield events[at : at + size]
        at += size
    yield events[at:]
