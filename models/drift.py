"""Drift: whether what the champion learned still holds, watched by ADWIN on its errors and on what it looks at.

ADWIN (Bifet and Gavaldà, "Learning from time-changing data with adaptive windowing", SIAM International Conference on
Data Mining, 2007) keeps as long a window as its mean allows and cuts it where two parts of it differ by more than
chance. River's is used, one per signal, with one budget of false alarms for all.

An alarm asks for more doubt, never for another model: the posterior is widened, so that the labels that follow count
for more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from models.adwin import Change, Window
from models.feature_moments import BLOCK, FeatureMoments, Moved, families_of
from models.instants import instant_text
from models.model_events import event_id
from models.schema import schema_hash

RESIDUAL: Final = "residual"
LOG_LOSS: Final = "log_loss"
ERRORS: Final = (RESIDUAL, LOG_LOSS)
"""What is watched of the champion's errors."""
MEAN: Final = "mean"
SPREAD: Final = "spread"

DELTA: Final = 0.004
"""The budget of false alarms: a quarter each for residual, log loss, first and second moments (docs/models.md)."""
OVERLAP: Final = 10_000.0
"""Labels of one user that look into the same days repeat each other: windows over all get so much less of it."""
WARM_UP: Final = 1_000
"""Labels after which errors are watched: before, they shrink because the model learns."""
MOST_LOSS: Final = 3.0
"""Nats that one label's log loss is held within (a probability of 5%), so that no single one makes a drift."""
ERROR_FACTOR: Final = 32.0
"""What the variances grow by when the champion errs otherwise than it did: chosen by measurement, docs/models.md."""
FEATURE_FACTOR: Final = 1.02
"""What they grow by when features drift: hardly, as customers may have changed without the champion being wrong.

At 1.5 complete_journey_dev lost 0.0009 and 0.0003 AUC, and a young shop, whose features only grow, gained bias."""
REST: Final = 1_000
"""Labels within which alarms are taken for one change, and widen together no more than the strongest of them."""
_CLOCK: Final = 32
"""Labels between two looks at a window over labels; a window over blocks is looked at with every block."""
_BUCKETS: Final = 3
"""Buckets of one size that a window keeps: the fewer, the smaller a cut."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something drifted."""

    signal: str
    """``residual``, ``log_loss``, or a family of features."""
    moment: str
    """``mean``; of a family also ``spread``."""
    at_ms: int
    """When the label was decided that it was seen at."""
    label: int
    """How many labels had been observed by then."""
    change: Change
    """Means before and after, and labels in both; of a family in standard deviations (mean) or variances (spread) of
    its reference, averaged over its features."""
    factor: float
    """What to widen the posterior by; 1 where an alarm for the same change has widened it already."""
    moved: tuple[Moved, ...] = ()
    """Of a family: the features that moved most."""

    def event(self, head: str) -> dict[str, Any]:
        """The alarm as ``model-events`` tells it.

        Parameters
        ----------
        head
            Name of the head whose champion it is about.
        """
        done = "nothing more: it was widened for this change already"
        if self.factor > 1.0:
            done = f"widened the posterior: variances x {self.factor:g}, at most the prior's; the champion stays"
        return {
            "type": "drift",
            "id": event_id("drift", head, self.signal, self.moment, self.at_ms, self.label),
            "head": head,
            "at": instant_text(self.at_ms),
            "signal": self.signal,
            "moment": self.moment,
            "label": self.label,
            "before": {"mean": self.change.before, "labels": self.change.let_go},
            "after": {"mean": self.change.after, "labels": self.change.kept},
            "features": [moved._asdict() for moved in self.moved],
            "widened_by": self.factor,
            "done": done,
        }


class DriftWatch:
    """Watches a champion's errors and the features it sees.

    Residuals (outcome − probability) are watched for any change, log loss for a rise above what the probabilities
    themselves lead to expect (:func:`excess_loss`): below that, the model has only grown more certain. Both have two
    windows: one over *spaced* labels, no two of a user within one horizon, and one with a smaller share of the budget
    over all, which repeat each other. Features are watched by family, block by block
    (:mod:`models.feature_moments`). What alarmed starts over with a new window.

    Parameters
    ----------
    feature_names
        In the order of the vectors.
    families
        Family of a feature, by name; a feature without one is its own.
    delta
        The budget that the windows share: River's ``delta`` of all of them together.
    warm_up
        Labels after which errors are watched.

    Raises
    ------
    ValueError
        On a parameter out of range, or a family named as another signal is.

    Attributes
    ----------
    alarms
        How many there were since it was made or restored, by signal.

    Examples
    --------
    >>> watch = DriftWatch(["recency_days"])
    >>> alarms = []
    >>> for label in range(8_000):
    ...     churned = label % 10 < (3 if label < 6_000 else 6)
    ...     alarms += watch.observe([0.0], 0.3, churned, label * 1_000)
    >>> alarms[0].signal, 6_000 < alarms[0].label < 6_500, alarms[0].factor
    ('residual', True, 32.0)
    """

    def __init__(
        self,
        feature_names: Sequence[str],
        families: Mapping[str, str] | None = None,
        *,
        delta: float = DELTA,
        warm_up: int = WARM_UP,
    ) -> None:
        if not 0.0 < delta < 1.0:
            raise ValueError(f"delta must be above 0 and below 1, not {delta!r}")
        if warm_up < 0:
            raise ValueError(f"warm_up must be at least 0, not {warm_up}")
        self._families = families_of(feature_names, families)
        taken = {*ERRORS} & set(self._families.values())
        if taken:
            raise ValueError(f"a family of features may not be called {', '.join(sorted(taken))}")
        self._delta = delta
        self._warm_up = warm_up
        self._size = len(self._families)
        self._moments = FeatureMoments(self._families)
        self.labels = 0
        self.alarms: Counter[str] = Counter()
        self._widened_at, self._widened = 0, 1.0
        self._on_labels = {(signal, spaced): self._label_window(spaced) for signal, spaced in _LABEL_WINDOWS}
        self._on_blocks = {
            (family, moment): self._block_window() for family in self._moments.families for moment in (MEAN, SPREAD)
        }

    def observe(
        self, vector: npt.ArrayLike, probability: float, outcome: bool, label_ms: int, *, spaced: bool = True
    ) -> list[Alarm]:
        """Take in one label before it is learned; gives back what drifted, mostly nothing.

        Parameters
        ----------
        vector
            The features that were scored.
        probability
            Of the champion, before it learns this label.
        label_ms
            When the label was decided, ms since the epoch.
        spaced
            Whether no other label of that user within one horizon is.

        Raises
        ------
        ValueError
            On a vector of the wrong length, a value that is not finite, or a probability not within 0 and 1; nothing
            was changed.
        """
        x = np.asarray(vector, dtype=np.float64)
        if x.shape != (self._size,):
            raise ValueError(f"expected {self._size} features, got shape {x.shape}")
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"a probability must be within 0 and 1, not {probability!r}")
        if not math.isfinite(np.add.reduce(x)):
            raise ValueError("a feature is not finite")
        self.labels += 1
        alarms: list[Alarm] = []
        if self.labels > self._warm_up:
            self._watch_errors(RESIDUAL, bool(outcome) - probability, label_ms, spaced, alarms)
            self._watch_errors(LOG_LOSS, excess_loss(probability, outcome), label_ms, spaced, alarms)
        if told := self._moments.add(x):
            for family, moments in told.items():
                self._watch_family(family, moments._asdict(), label_ms, alarms)
        for alarm in alarms:
            self.alarms[alarm.signal] += 1
        return alarms

    def restart_errors(self) -> None:
        """Another champion serves: its errors are not compared with those of the one before."""
        self._on_labels = {(signal, spaced): self._label_window(spaced) for signal, spaced in _LABEL_WINDOWS}

    # -- state -------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Every window and sum, JSON-ready: what a restart goes on from as if it had never stopped."""
        return {
            "labels": self.labels,
            "widened_at": self._widened_at,
            "widened": self._widened,
            "delta": self._delta,
            "errors": [window.numbers() for window in self._on_labels.values()],
            "schema": self._schema,
            "moments": self._moments.state(),
            "families": [window.numbers() for window in self._on_blocks.values()],
        }

    @classmethod
    def from_state(
        cls,
        feature_names: Sequence[str],
        state: Mapping[str, Any],
        families: Mapping[str, str] | None = None,
        *,
        warm_up: int = WARM_UP,
    ) -> Self:
        """The watch that :meth:`state` was taken of, to the bit; over other features or families, those start over.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together.
        """
        watch = cls(feature_names, families, delta=float(state["delta"]), warm_up=warm_up)
        watch.labels = int(state["labels"])
        watch._widened_at, watch._widened = int(state["widened_at"]), float(state["widened"])
        if watch.labels < 0 or not math.isfinite(watch._widened) or watch._widened < 1.0:
            raise ValueError("the drift watch's counts do not hold together")
        for window, numbers in zip(watch._on_labels.values(), state["errors"], strict=True):
            window.restore(numbers)
        if state["schema"] == watch._schema:
            watch._moments.restore(state["moments"])
            for window, numbers in zip(watch._on_blocks.values(), state["families"], strict=True):
                window.restore(numbers)
        return watch

    # -- windows -----------------------------------------------------------------------------------

    @property
    def _schema(self) -> str:
        return schema_hash([f"{name}={family}" for name, family in self._families.items()])

    def _label_window(self, spaced: bool) -> Window:
        delta = 0.25 * self._delta
        return Window(delta if spaced else delta / OVERLAP, _CLOCK, _BUCKETS)

    def _block_window(self) -> Window:
        return Window(0.25 * self._delta / len(self._moments.families), 1, _BUCKETS)

    def _watch_errors(self, signal: str, value: float, label_ms: int, spaced: bool, alarms: list[Alarm]) -> None:
        change = self._on_labels[signal, False].put(value)
        if spaced:
            change = self._on_labels[signal, True].put(value) or change
        if change is None:
            return
        for over in (False, True):
            self._on_labels[signal, over] = self._label_window(over)
        if signal == RESIDUAL or change.after > max(change.before, 0.0):
            alarms.append(Alarm(signal, MEAN, label_ms, self.labels, change, self._factor(ERROR_FACTOR)))

    def _watch_family(self, family: str, moments: Mapping[str, float], label_ms: int, alarms: list[Alarm]) -> None:
        changes = {moment: self._on_blocks[family, moment].put(value) for moment, value in moments.items()}
        found = next(((moment, change) for moment, change in changes.items() if change is not None), None)
        if found is None:
            return
        moment, change = found
        unit = math.sqrt(BLOCK if moment == MEAN else BLOCK / 2.0)
        scaled = Change(change.before / unit, change.after / unit, change.let_go * BLOCK, change.kept * BLOCK)
        factor, moved = self._factor(FEATURE_FACTOR), self._moments.moved(family)
        alarms.append(Alarm(family, moment, label_ms, self.labels, scaled, factor, moved))
        self._moments.restart(family)
        for of in (MEAN, SPREAD):
            self._on_blocks[family, of] = self._block_window()

    def _factor(self, wanted: float) -> float:
        """What is left to widen by, of what a change asks for."""
        if self._widened > 1.0 and self.labels - self._widened_at < REST:
            left = max(wanted / self._widened, 1.0)
            self._widened = max(self._widened, wanted)
            return left
        self._widened_at, self._widened = self.labels, wanted
        return wanted


def excess_loss(probability: float, outcome: bool) -> float:
    """Log loss of one label, less what it is on average where the probability is right; nats.

    Log loss alone also moves with who happens to be scored: in a week of doubtful customers it is high, and no model is
    wrong. This is 0 on average for every customer as long as the probabilities are right.

    >>> round(excess_loss(0.9, False), 3), round(excess_loss(0.9, True), 3), excess_loss(0.5, True)
    (1.978, -0.22, 0.0)
    """
    if_true = MOST_LOSS if probability <= _LEAST_GIVEN else -math.log(probability)
    if_false = MOST_LOSS if 1.0 - probability <= _LEAST_GIVEN else -math.log(1.0 - probability)
    return (if_true - if_false) * (bool(outcome) - probability)


_LABEL_WINDOWS: Final = ((RESIDUAL, False), (RESIDUAL, True), (LOG_LOSS, False), (LOG_LOSS, True))
_LEAST_GIVEN: Final = math.exp(-MOST_LOSS)
