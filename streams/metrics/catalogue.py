"""The catalogue of metrics: name, kind, unit, labels and meaning of each. A user id is never a label.

A unit stands at the end of a name, ``_total`` at the end of a counter's. Times are seconds, ratios go from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PREFIX: Final = "ebbtide_"


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry; its class says what can be done with it."""

    name: str
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``counter``, ``gauge`` or ``histogram``."""
        return type(self).__name__.removesuffix("Metric").lower()


@dataclass(frozen=True, slots=True)
class CounterMetric(Metric):
    """Only goes up; starts at 0 with the process."""


@dataclass(frozen=True, slots=True)
class GaugeMetric(Metric):
    """How something stands now."""


@dataclass(frozen=True, slots=True)
class HistogramMetric(Metric):
    """How something is spread over buckets."""

    buckets: tuple[float, ...] = ()


_STAGE_BUCKETS: Final = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)

# --- events
RECORDS_READ = CounterMetric("ebbtide_records_read_total", "records", "records taken from an input", ("topic",))
EVENTS = CounterMetric(
    "ebbtide_events_total",
    "events",
    "what became of the records of an input: accepted, duplicate, rejected, skipped as redelivered, or bootstrapped",
    ("topic", "outcome"),
)
REJECTED = CounterMetric(
    "ebbtide_rejected_records_total", "records", "records that became dead letters, by reason code", ("topic", "reason")
)
REDRIVE_FAILED = CounterMetric(
    "ebbtide_redrive_failures_total",
    "records",
    "redriven dead letters that were rejected again: `offered` for another redrive, or `parked` for good",
    ("outcome",),
)
LATE = CounterMetric("ebbtide_late_events_total", "events", "accepted behind their user's settled time")
DUPLICATES = CounterMetric("ebbtide_duplicate_events_total", "events", "dropped as repeats of an event_id")
REDELIVERED = CounterMetric("ebbtide_redelivered_records_total", "records", "skipped, as the profile already held them")
BOOTSTRAPPED = CounterMetric(
    "ebbtide_bootstrapped_records_total", "records", "skipped, as a bootstrap brought everything up to their event time"
)
OUTLIERS = CounterMetric("ebbtide_outlier_lines_total", "lines", "order lines left out of money by the policy's limit")
UNKNOWN_ACTIONS = CounterMetric("ebbtide_unknown_actions_total", "events", "clicks whose action became `other`")
SETTLED_EARLY = CounterMetric("ebbtide_settled_early_events_total", "events", "settled before W, as too many were open")
REFOLDS = CounterMetric("ebbtide_refolds_total", "folds", "views folded again after disorder or a cache miss")

# --- pipeline
PIPELINE_SECONDS = HistogramMetric(
    "ebbtide_pipeline_stage_seconds",
    "s",
    "time a slice spends in one stage of the pipeline",
    ("stage",),
    _STAGE_BUCKETS,
)
OUTPUTS = CounterMetric(
    "ebbtide_output_records_total", "records", "records acknowledged by an output topic", ("topic",)
)
OUTPUTS_HELD = GaugeMetric(
    "ebbtide_outputs_held",
    "",
    "1 while the circuit breaker holds a partition's outputs until somebody decides, else 0",
    ("partition",),
)
HELD_OUTPUTS = CounterMetric("ebbtide_held_outputs_total", "records", "outputs that went to held-outputs instead")
WATERMARK = GaugeMetric(
    "ebbtide_watermark_timestamp_seconds", "s since 1970", "W of a partition, in event time", ("partition",)
)
NEWEST_EVENT = GaugeMetric(
    "ebbtide_newest_event_timestamp_seconds", "s since 1970", "newest event time of a partition", ("partition",)
)
EVENT_TIME_LAG = GaugeMetric(
    "ebbtide_event_time_lag_seconds", "s", "wall clock less the newest event time of a partition", ("partition",)
)
CONSUMER_LAG = GaugeMetric(
    "ebbtide_consumer_lag_records", "records", "records that Kafka has and we have not applied", ("topic", "partition")
)
BROKER_REACHABLE = GaugeMetric(
    "ebbtide_broker_reachable", "bool", "1 while any Kafka broker answers, 0 during an outage"
)
BROKER_AWAY = GaugeMetric("ebbtide_broker_away_seconds", "s", "how long no Kafka broker has answered; 0 while one does")
WAITING = GaugeMetric("ebbtide_waiting_records", "records", "fetched and not yet applied", ("partition",))

# --- state
TABLE_USERS = GaugeMetric("ebbtide_table_users", "users", "profiles in the table of a partition", ("partition",))
STAGE_USERS = GaugeMetric(
    "ebbtide_stage_users",
    "users",
    "profiles by life-cycle stage; over all stages as many as ebbtide_table_users",
    ("stage", "partition"),
)
DEADLINES_FIRED = CounterMetric(
    "ebbtide_deadlines_fired_total", "deadlines", "instants at which silence changed a profile"
)
SEGMENT_CHANGES = CounterMetric(
    "ebbtide_segment_changes_total",
    "changes",
    "moves of users between stages, value tiers and risk bands",
    ("dimension", "previous", "current"),
)
RESTORE_REMAINING = GaugeMetric(
    "ebbtide_restore_remaining_records", "records", "changelog records still to read", ("partition",)
)
RESTORE_READ = CounterMetric("ebbtide_restored_records_total", "records", "changelog records read by restores")

# --- learning
SCORES = CounterMetric(
    "ebbtide_scores_total", "scores", "scores given, by risk band; `cold` has no probability yet", ("band",)
)
STALE_SCORES = CounterMetric("ebbtide_stale_scores_total", "scores", "scores given by an older model than was due")
OBSERVATIONS = CounterMetric(
    "ebbtide_observations_total",
    "observations",
    "scheduled scores by state: opened, then returned, churned or erased",
    ("state",),
)
CONTRADICTIONS = CounterMetric(
    "ebbtide_label_contradictions_total", "labels", "labels that a later, late purchase contradicts"
)
EXAMPLES_SENT = CounterMetric(
    "ebbtide_examples_sent_total", "examples", "scores with their outcome sent to the trainer"
)
EXAMPLES_LEARNED = CounterMetric("ebbtide_examples_learned_total", "examples", "examples the trainer learned from")
EXAMPLES_DROPPED = CounterMetric(
    "ebbtide_examples_dropped_total", "examples", "examples the trainer had already covered, by reason", ("reason",)
)
EXAMPLES_PENDING = GaugeMetric("ebbtide_examples_pending", "examples", "examples that wait for the lowest mark")
_GROUP: Final = ("head", "by", "group")
AUC = GaugeMetric(
    "ebbtide_prequential_auc_ratio",
    "ratio",
    "pairs of a user whose outcome came true and one whose did not that the served scores ranked right, exact over the "
    "last 10,000 labels of a head; `by` is `all`, `stage`, `tier` or `cold_start`, as of every figure below",
    _GROUP,
)
LOG_LOSS = GaugeMetric("ebbtide_prequential_log_loss_nats", "nats", "mean log loss of the scores as served", _GROUP)
BRIER = GaugeMetric("ebbtide_prequential_brier_ratio", "ratio", "mean squared error of the scores as served", _GROUP)
ECE = GaugeMetric(
    "ebbtide_prequential_calibration_error_ratio",
    "ratio",
    "expected calibration error of the scores as served, over 10 bins of equal mass",
    _GROUP,
)
LIFT = GaugeMetric(
    "ebbtide_prequential_top_decile_lift_ratio",
    "ratio",
    "outcomes that came true among the highest-scored tenth, as a multiple of the base rate",
    _GROUP,
)
BASE_RATE = GaugeMetric(
    "ebbtide_prequential_base_rate_ratio", "ratio", "share of outcomes that came true among the labels", _GROUP
)
MEAN_PROBABILITY = GaugeMetric(
    "ebbtide_prequential_mean_probability_ratio", "ratio", "mean probability as served, to hold the base rate", _GROUP
)
JUDGED_SCORES = GaugeMetric("ebbtide_prequential_scores", "scores", "how many labels the figures are over", _GROUP)
RELIABILITY_SAID = GaugeMetric(
    "ebbtide_reliability_probability_ratio", "ratio", "mean probability of a bin of equal mass", ("head", "bin")
)
RELIABILITY_CAME = GaugeMetric(
    "ebbtide_reliability_observed_ratio", "ratio", "share of outcomes that came true in that bin", ("head", "bin")
)
SCHEDULED_SCORES = GaugeMetric(
    "ebbtide_scheduled_scores",
    "scores",
    "what became of every scheduled score, over all partitions and restarts: `opened` is the sum of the two outcomes, "
    "`erased` and `pending`",
    ("head", "state"),
)
MODEL = GaugeMetric("ebbtide_model_info", "", "always 1; its labels name the model that serves", ("name", "version"))
MODEL_AGE = GaugeMetric("ebbtide_model_age_seconds", "s", "event time since the end of the model's last day")
CHAMPION = GaugeMetric(
    "ebbtide_model_champion_info", "", "1 for the learner of a head that serves, 0 for the others", ("head", "learner")
)
CHALLENGE = GaugeMetric(
    "ebbtide_model_challenger_evidence_ratio",
    "ratio",
    "how strongly what was seen speaks for a challenger being better, as a share of what it takes: at 1 it takes over",
    ("head", "learner"),
)
DRIFT_ALARMS = CounterMetric(
    "ebbtide_model_drift_alarms_total",
    "alarms",
    "what drifted: residual, log_loss, or a family of features; each is in model-events",
    ("head", "signal"),
)

# --- process
READY = GaugeMetric("ebbtide_ready", "", "1 while tables and model are restored and Kafka answers, else 0")
BUILD = GaugeMetric("ebbtide_build_info", "", "always 1; its label names the program's version", ("version",))

CATALOGUE: Final[dict[str, Metric]] = {
    metric.name: metric for metric in list(globals().values()) if isinstance(metric, Metric)
}
"""Every metric by name, in the order above."""


def metrics_table() -> str:
    """The catalogue as a Markdown table, for the documentation.

    >>> metrics_table().splitlines()[0]
    '| metric | kind | unit | labels | meaning |'
    """
    lines = ["| metric | kind | unit | labels | meaning |", "|---|---|---|---|---|"]
    for metric in CATALOGUE.values():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.meaning} |")
    return "\n".join(lines) + "\n"
