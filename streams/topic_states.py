"""Topics of the catalogue as they stand on a broker, and what of it does not fit, in words. No IO: see provisioning."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.core.errors import TopicError
from streams.permissions import refuse_denied
from streams.settings import Settings
from streams.topics import Topic


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic of the catalogue as it stands on the broker."""

    topic: Topic
    name: str
    """With prefix and suffix."""
    id: str | None
    """Kafka's id of it, another one each time the topic is created; None where it does not exist."""
    partitions: int = 0
    replication_factor: int = 0
    config: dict[str, str] = field(default_factory=dict)
    """What the broker reports; the embedded one reports little."""
    allowed: frozenset[str] | None = None
    """What Kafka lets us do with it (``READ``, ``DESCRIBE_CONFIGS``); None where it does not say."""

    @property
    def exists(self) -> bool:
        """Whether the broker has it."""
        return self.id is not None

    def differences(self, settings: Settings) -> list[str]:
        """What breaks a promise of Ebbtide, in words; [] where it fits or does not exist."""
        if not self.exists:
            return []
        wrong = []
        if self.partitions != self.topic.partitions(settings):
            wrong.append(f"it has {self.partitions} partitions, not {self.topic.partitions(settings)}")
        return wrong + self.topic.differences(self.config)

    @property
    def cautions(self) -> list[str]:
        """What may do harm and does not yet, in words."""
        return self.topic.cautions(self.config) if self.exists else []


def refuse_misfits(states: list[TopicState], settings: Settings) -> None:
    """Raise :class:`TopicError` where a topic is missing or does not fit; it names all of them.

    Where Kafka does not let us see a topic's configuration, nobody can say whether it fits: an ``AccessError``.
    """
    missing = [state.name for state in states if not state.exists]
    if missing:
        raise TopicError(
            f"Topics are missing at {settings.brokers}: {', '.join(missing)}.",
            "Create them with: ebbtide topics --create.",
        )
    refuse_denied(states, "DescribeConfigs", settings)
    wrong = [f"{state.name}: {', '.join(found)}" for state in states if (found := state.differences(settings))]
    if wrong:
        raise TopicError(f"Topics at {settings.brokers} do not fit: {'; '.join(wrong)}.", _mending(states, settings))


def _mending(states: list[TopicState], settings: Settings) -> str:
    """What to do about topics that do not fit, one sentence each."""
    there = [state for state in states if state.exists]
    advice = []
    if any(state.partitions != state.topic.partitions(settings) for state in there):
        advice.append(
            "Set EBBTIDE_PARTITIONS to what is there (it cannot change later), or choose another EBBTIDE_TOPIC_PREFIX."
        )
    for state in there:
        if state.topic.differences(state.config):
            wanted = ",".join(f"{name}={value}" for name, value in state.topic.config(settings).items())
            advice.append(
                f"Mend {state.name}: kafka-configs --bootstrap-server {settings.brokers} --alter --entity-type topics "
                f"--entity-name {state.name} --add-config {wanted}"
            )
    return " ".join(advice)
