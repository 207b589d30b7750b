"""What may go wrong in a run, as a list that can be printed, shortened and repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

STEPS: Final = (
    "outputs.send",
    "outputs.acked",
    "changelog.send",
    "changelog.acked",
    "store.before",
    "store.after",
    "mark.send",
    "mark.acked",
    "ack",
    "commit",
    "fence.send",
    "fence.acked",
    "restore",
    "fetch",
    "take",
    "release",
    "any",
)
"""Where a worker can be hit: each await of the order of effects, of taking and of releasing a partition."""

_SLICE: Final = ("outputs.send", "outputs.acked", "changelog.send", "changelog.acked", "store.before", "store.after")

AT_A_STEP: Final = {
    "crash": "it is killed",
    "freeze": "it is frozen",
    "stop": "it is asked to stop in order",
    "cut off": "the coordinator no longer hears it, and it goes on",
    "refused send": "Kafka refuses the batch",
    "lost ack": "the batch is appended and the ack is lost",
    "slow ack": "the ack is slow",
    "slow send": "the batch is slow on the wire",
    "echo": "the batch is appended twice, as by a retry",
}
AT_A_TIME: Final = {
    "compaction": "the changelog is compacted as far as its lag allows",
    "rebalance": "the group rebalances",
    "lost store": "the local stores are lost",
    "old store": "the local stores go back to an earlier write",
    "lost commits": "the group's offsets expire",
    "recreated topic": "workers are down, and an input topic that was read to its end is created anew",
    "outage": "no broker answers",
    "slow fetches": "fetches are slow",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong: at a time, or at a worker's next step of a kind after it."""

    at_s: float
    kind: str
    worker: int = -1
    step: str = ""
    seconds: float = 0.0
    wire: str = ""
    """Which batches on the wire land when their sender dies: ``all``, ``some``, ``none``, or all of them ``late``."""

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.2f} s" if self.seconds else ""
        if self.kind in AT_A_TIME:
            return f"after {self.at_s:6.2f} s  {self.kind}: {AT_A_TIME[self.kind]}{lasting}"
        wire = f"; batches on the wire: {self.wire} land" if self.wire else ""
        return (
            f"after {self.at_s:6.2f} s  {self.kind}: at worker {self.worker}'s next step {self.step!r} "
            f"{AT_A_STEP[self.kind]}{lasting}{wire}"
        )


Schedule = tuple[Fault, ...]


def schedule(seed: int, busy_s: Sequence[float], workers: int) -> Schedule:
    """The faults of a seed.

    Parameters
    ----------
    seed
        Decides everything.
    busy_s
        Seconds at which there is much to do; the last one is about the end.
    workers
        How many there are.
    """
    dice = Random(f"faults {seed}")
    faults = [_fault(dice, busy_s[-1], workers) for _ in range(dice.randint(1, 7))]
    if dice.random() < 0.3:  # trouble comes in company: a second blow while the first is being dealt with
        at_s = dice.choice(faults).at_s + dice.random() * 12.0
        faults.append(replace(_fault(dice, busy_s[-1], workers), at_s=at_s))
    if dice.random() < 0.4:
        faults += _zombie(dice, dice.choice(busy_s), dice.randrange(workers), workers)
    return tuple(sorted(faults, key=lambda fault: fault.at_s))


def _zombie(dice: Random, at_s: float, worker: int, workers: int) -> list[Fault]:
    """A worker that goes on behind its successor's back, and a successor that dies before it can notice."""
    away_s = dice.uniform(7.0, 12.0)
    if dice.random() < 0.7:
        zombie = Fault(
            at_s, "freeze", worker, dice.choice(("changelog.send", "changelog.send", "outputs.acked")), away_s
        )
    else:
        zombie = Fault(at_s, "crash", worker, "changelog.acked", wire="late")
    back_s = at_s + away_s + dice.uniform(0.0, 2.5)
    if dice.random() < 0.3:
        return [zombie, Fault(back_s, dice.choice(("lost store", "old store")))]
    others = [other for other in range(workers) if other != worker]
    return [zombie, *(Fault(back_s, "crash", other, "changelog.send", wire="none") for other in others)]


def _fault(dice: Random, span_s: float, workers: int) -> Fault:
    at_s, worker = dice.uniform(0.0, span_s), dice.randrange(workers)
    kind = dice.choice((*AT_A_STEP, "crash", "crash", "freeze", "freeze", *AT_A_TIME, "compaction", "lost store"))
    step = dice.choice(_SLICE) if dice.random() < 0.5 else dice.choice(STEPS)
    if kind in ("lost ack", "refused send", "slow ack", "slow send", "echo"):
        step = dice.choice(("outputs.send", "changelog.send", "changelog.send", "mark.send", "fence.send"))
    if kind == "crash":
        return Fault(at_s, kind, worker, step, wire=dice.choice(("all", "some", "none", "late")))
    if kind == "freeze":
        seconds = dice.choice((1.0, 4.0, 7.0, 10.0, 16.0, 25.0)) + dice.random()
        return Fault(at_s, kind, worker, step, seconds)
    if kind in ("cut off", "slow ack", "slow send"):
        return Fault(at_s, kind, worker, step, dice.choice((0.3, 2.0, 6.0, 9.0, 14.0)) + dice.random())
    if kind in AT_A_STEP:
        return Fault(at_s, kind, worker, step)
    if kind in ("outage", "slow fetches"):
        return Fault(at_s, kind, seconds=dice.choice((0.5, 3.0, 7.0, 15.0)) + dice.random())
    return Fault(at_s, kind)
