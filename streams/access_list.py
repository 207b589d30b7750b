"""The least that Kafka must allow each program: one access-control list per role, read off the catalogue of topics.

A new topic names its writers and readers in :mod:`streams.topics`; what they need follows from that.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from streams import topics
from streams.core.events import INPUT_TOPICS
from streams.settings import Settings
from streams.topics import CATALOGUE, SHADOWED, topic_name


class Role(StrEnum):
    """A program, or a person at the command line, with a user of its own on Kafka."""

    PROVISIONER = "provisioner"
    WORKER = "worker"
    TRAINER = "trainer"
    PUBLISHER = "publisher"
    OPERATOR = "operator"
    REDRIVER = "redriver"
    RELEASER = "releaser"
    MODELLER = "modeller"
    REPLAYER = "replayer"
    BOOTSTRAPPER = "bootstrapper"
    SUBSCRIBER = "subscriber"


WORKS: Final[dict[Role, str]] = {
    Role.PROVISIONER: "`ebbtide topics --create`, once and after an upgrade; or topics made by other means.",
    Role.WORKER: "`ebbtide worker`",
    Role.TRAINER: "`ebbtide trainer`",
    Role.PUBLISHER: "`ebbtide publish`; producers of your own need `Write` alone.",
    Role.OPERATOR: "`ebbtide topics`, `profile`, `diff`, `model`, `scorecard`: looks and writes nothing.",
    Role.REDRIVER: "`ebbtide dead-letters`",
    Role.RELEASER: "`ebbtide outputs`",
    Role.MODELLER: "`ebbtide model rollback`",
    Role.REPLAYER: "`ebbtide replay`; with `--out` only `Read`.",
    Role.BOOTSTRAPPER: "`ebbtide bootstrap`, before the first worker.",
    Role.SUBSCRIBER: "Services of yours that act on outputs; besides, `Read` on the consumer group of each.",
}
"""What runs as each role."""

COMMANDS: Final[dict[Role, tuple[str, ...]]] = {
    Role.PROVISIONER: (),
    Role.WORKER: ("worker",),
    Role.TRAINER: ("trainer",),
    Role.PUBLISHER: ("publish",),
    Role.OPERATOR: ("profile", "diff", "model", "scorecard"),
    Role.REDRIVER: ("dead-letters",),
    Role.RELEASER: ("outputs",),
    Role.MODELLER: ("model rollback",),
    Role.REPLAYER: ("replay",),
    Role.BOOTSTRAPPER: ("bootstrap",),
    Role.SUBSCRIBER: ("subscribers",),
}
"""As whom each writer and reader of the catalogue works. An operator's ``topics`` looks at all and reads none."""

SETUP: Final[dict[Role, tuple[str, ...]]] = {
    Role.PROVISIONER: tuple(CATALOGUE),
    Role.WORKER: tuple(CATALOGUE),
    Role.TRAINER: (topics.TRAINING_EXAMPLES, topics.MODEL_CUTS, topics.MODEL_EVENTS, topics.MODEL_SCORECARD),
    Role.PUBLISHER: INPUT_TOPICS,
    Role.OPERATOR: tuple(CATALOGUE),
    Role.BOOTSTRAPPER: tuple(CATALOGUE),
    Role.REDRIVER: (*INPUT_TOPICS, topics.DEAD_LETTER_DECISIONS),
}
"""Topics whose partitions, compaction and retention a role checks before it begins."""


SHADOWS: Final[dict[Role, dict[str, str]]] = {
    Role.REPLAYER: {
        "Create": "shadow topics <topic>-NAME",
        "DescribeConfigs": "their compaction is checked",
        "Write": "what the replay says",
        "Delete": "`replay --replace`",
    },
    Role.OPERATOR: {"Read": "`diff topics topics:NAME`"},
}
"""What is done with shadow topics, of whatever name, and why."""


class Entry(NamedTuple):
    """One thing to allow, in Kafka's words."""

    operation: str
    kind: str
    """topic or group."""
    name: str
    why: str
    prefixed: bool = False
    """Everything that begins with the name."""

    def command(self, principal: str) -> str:
        """How Kafka's own tool allows it.

        >>> Entry("Read", "topic", "clicks", "").command("User:worker")
        'kafka-acls --add --allow-principal User:worker --operation Read --topic clicks'
        """
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        what = f"--operation {self.operation} --{self.kind} {self.name}{pattern}"
        return f"kafka-acls --add --allow-principal {principal} {what}"


def access_list(role: Role, settings: Settings) -> list[Entry]:
    """Everything that a role needs, and nothing else; ``Read`` and ``Write`` include Kafka's ``Describe``.

    Parameters
    ----------
    role
        Whose.
    settings
        Prefix of the topics, name of the workers' group.

    Examples
    --------
    >>> [entry[:3] for entry in access_list(Role.TRAINER, Settings())][:2]
    [('Write', 'topic', 'model-cuts'), ('Read', 'topic', 'training-examples')]
    """
    commands = set(COMMANDS[role])
    found = [
        Entry(operation, "topic", topic_name(topic.name, settings), topic.purpose)
        for operation in ("Write", "Read")
        for topic in CATALOGUE.values()
        if commands & set(topic.written_by if operation == "Write" else topic.read_by)
    ]
    if role is Role.WORKER:
        found.append(Entry("Read", "group", settings.group_id, "the workers share the partitions as this group"))
    if role is Role.BOOTSTRAPPER:
        found.append(Entry("Read", "group", settings.group_id, "its offsets are set, which shows that no worker runs"))
    named = {entry.name for entry in found}
    for name in SETUP.get(role, ()):
        full = topic_name(name, settings)
        if role is Role.PROVISIONER:
            found.append(Entry("Create", "topic", full, "made where it is missing"))
        if full not in named:
            found.append(Entry("Describe", "topic", full, "checked before the start"))
        found.append(Entry("DescribeConfigs", "topic", full, "compaction and retention are checked before the start"))
    found += [
        Entry(operation, "topic", f"{topic_name(name, settings)}-", why, prefixed=True)
        for operation, why in SHADOWS.get(role, {}).items()
        for name in SHADOWED
    ]
    return found


def access_table(settings: Settings) -> str:
    """All lists as Markdown, for SECURITY.md."""
    lines: list[str] = []
    for role in Role:
        entries = access_list(role, settings)
        lines += [f"### {role.value}", WORKS[role], "", "| operation | on | why |", "|---|---|---|"]
        merged: dict[tuple[str, str, str], list[str]] = {}
        for entry in entries:
            why = entry.why
            key = (entry.operation, f"{entry.kind}{', prefixed' if entry.prefixed else ''}", why)
            merged.setdefault(key, []).append(f"`{entry.name}`")
        lines += [
            f"| {operation} | {kind} {', '.join(names)} | {why} |" for (operation, kind, why), names in merged.items()
        ]
        lines.append("")
    return "\n".join(lines)
