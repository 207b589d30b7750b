"""Everything that reads stored, sent or configured bytes, each as a function over bytes: it may refuse, never fail."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec

from models import snapshots
from streams.codec import CodecError, decode, encode
from streams.core.errors import EbbtideError
from streams.core.events import DAY_MS, Position
from streams.core.features import NAMES
from streams.core.fold import Fold
from streams.core.instants import format_instant
from streams.core.messages import mark_body
from streams.core.policy import Compiled, parse_policy
from streams.core.ports import Rejection
from streams.core.profile import decode_profile
from streams.core.stored_profile import HEADER_BYTES, read_header
from streams.dead_letters import MOST_KEY_BYTES, dead_letter
from streams.live.fence import ChangelogRecord, Restore, fence_key, judge_gap, writer_of
from streams.live.partition_record import InputPosition, PartitionRecord, decode_record, encode_record
from streams.model_records import CATALOGUE_SCHEMA, learn, model_record, new_cuts, new_trainer, trainer_from
from streams.policies.reader import default_text, read_policy
from streams.settings import load_settings
from tests.fuzz.partition_under_fire import BEGIN_MS, PartitionUnderFire
from tests.fuzz.records import seeds, unlayout
from tests.fuzz.tampering import tampered

Mutate = Callable[[bytes, random.Random], bytes | None]
PARTITIONS: Final = 2
HORIZON_DAYS: Final = 30


@dataclass
class Loader:
    """A target: ``load`` gives a word for what became of the bytes, or raises one of Ebbtide's own errors."""

    name: str
    seeds_of: Callable[[], list[bytes]]
    load: Callable[[bytes], str]
    mutate: Mutate
    dictionary: tuple[str, ...] = ()
    outcomes: Counter[str] = field(default_factory=Counter)
    trail: deque[bytes] = field(default_factory=lambda: deque(maxlen=2))

    def seeds(self) -> list[bytes]:
        """What to begin with."""
        return self.seeds_of()

    def run(self, data: bytes) -> None:
        """Load one input."""
        self.trail.append(data)
        try:
            self.outcomes[self.load(data)] += 1
        except EbbtideError as error:
            self.outcomes[f"refused: {type(error).__name__}"] += 1

    def finish(self) -> None:
        """Nothing waits."""


def json_mutation(data: bytes, choose: random.Random) -> bytes | None:
    """Tamper with a JSON document."""
    try:
        return json.dumps(tampered(json.loads(data), choose), separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return None


# -- stored profiles --------------------------------------------------------------------------------------------------

_HEADER_BYTES: Final = HEADER_BYTES - 4
"""Up to its checksum."""
FOLD: Final = Fold(Compiled(read_policy(None)), HORIZON_DAYS * DAY_MS)


def stored_profiles() -> list[bytes]:
    """Values that the engine wrote for the seeds of `events`, some time apart."""
    world = PartitionUnderFire()
    for number, data in enumerate(seeds() * 4):
        kind, _, _, _, value = unlayout(data)
        world.feed(kind, value, step_ms=(number % 5) * 40_000_000)
    world.apply()
    return list(world._store.values())


def sealed(value: bytes) -> bytes:
    """The value with the checksum that its bytes ask for: whoever can write can do that too."""
    head, body = value[:_HEADER_BYTES], value[_HEADER_BYTES + 4 :]
    return head + crc32(body, crc32(head)).to_bytes(4, "big") + body


def load_profile(data: bytes) -> str:
    """The first byte says whether the checksum is made to fit."""
    value = data[1:]
    if data[:1] < b"\xc0":
        value = sealed(value)
    read_header(value)
    decode_profile("u", value, FOLD)
    return "accepted"


def profile_mutation(data: bytes, choose: random.Random) -> bytes | None:
    """Change a value in the MessagePack body, or in the settled state inside it."""
    head, body = data[: 1 + _HEADER_BYTES + 4], data[1 + _HEADER_BYTES + 4 :]
    try:
        tree = msgspec.msgpack.decode(body)
        if choose.random() < 0.7 and type(tree) is list and tree and type(tree[0]) is bytes:
            tree[0] = msgspec.msgpack.encode(tampered(msgspec.msgpack.decode(tree[0]), choose))
        else:
            tree = tampered(tree, choose)
        return b"\x01" + head[1:] + msgspec.msgpack.encode(tree)
    except (msgspec.DecodeError, ValueError, TypeError, OverflowError, RecursionError):
        return None


# -- changelog --------------------------------------------------------------------------------------------------------


def partition_records() -> list[bytes]:
    """A first one and one in the middle of its life."""
    inputs = tuple(InputPosition(topic_id=f"id{n}", epoch=n, next=n * 7, newest=BEGIN_MS) for n in range(3))
    whole = PartitionRecord(watermark=BEGIN_MS, newest=BEGIN_MS, clock=BEGIN_MS, published=BEGIN_MS, inputs=inputs)
    return [encode_record(PartitionRecord()), encode_record(whole), encode_record(replace_inputs(whole))]


def replace_inputs(record: PartitionRecord) -> PartitionRecord:
    """With offsets as large as Kafka has them."""
    return msgspec.structs.replace(
        record, inputs=tuple(msgspec.structs.replace(one, next=2**62) for one in record.inputs)
    )


def load_partition_record(data: bytes) -> str:
    """As a restore does, with the same bytes as key, value and headers of changelog records too."""
    half = len(data) // 2
    writer = writer_of([("writer", data[:8]), ("writer", data), ("other", b"")])
    restore = Restore()
    changelog = [
        ChangelogRecord(0, fence_key(7), b"", 7),
        ChangelogRecord(1, data[:half], data[half:], 7),
        ChangelogRecord(2, data, None, writer),
    ]
    restore.counted(changelog)
    judge_gap(changelog, 7)
    decode_record(data)
    return "accepted"


# -- the model --------------------------------------------------------------------------------------------------------


def example_record(number: int, **changes: Any) -> dict[str, Any]:
    """An example as a worker sends it."""
    at = BEGIN_MS + number * 3_600_000
    body = {"type": "example", "id": f"e{number}", "user_id": "u", "user_hash": 2**63 + number, "partition": number % 2}
    body |= {"as_of": format_instant(at - HORIZON_DAYS * DAY_MS), "label_at": format_instant(at), "churned": number % 2}
    body |= {"probability": 0.25, "model_version": "none", "cold_start": True, "stage": "growing", "tier": "gold"}
    body |= {"features": None, "schema": CATALOGUE_SCHEMA, "horizon_days": HORIZON_DAYS}
    return body | changes


def mark_record(partition: int, watermark: int) -> dict[str, Any]:
    """A mark as a worker sends it."""
    return mark_body(partition, PARTITIONS, watermark, drained=False, clock="log", until=None)


def a_cut() -> dict[str, Any]:
    """The cut of a trainer that has seen a few examples and still waits for one."""
    trainer = new_trainer(PARTITIONS, HORIZON_DAYS)
    cuts: list[dict[str, Any]] = []
    for number in (1, 2, 3, 200):
        learn(trainer, example_record(number), number, 0)
    for partition in range(PARTITIONS):
        cuts += learn(trainer, mark_record(partition, BEGIN_MS + 4 * DAY_MS), 10 + partition, 0)
    return trainer.final_cut() if not cuts or cuts[-1]["type"] != "cut" else cuts[-1]


def cut_records() -> list[bytes]:
    """A cut, a day without learning, and a frontier."""
    cut = a_cut()
    same = {"type": "same", "day": cut["day"] + DAY_MS, "version": cut["version"]}
    return [encode(cut), encode(same), encode({"type": "frontier", "day": cut["day"]})]


def load_cut(data: bytes) -> str:
    """As a file, as a record of model-cuts for a scorer, and as what a trainer goes on from.

    The first byte says whether version and checksum are made to fit first.
    """
    value = data[1:]
    if data[:1] < b"\xc0":
        value = resealed(value)
    body = model_record(value, "model-cuts, partition 0, offset 0")
    cuts = new_cuts(HORIZON_DAYS)
    try:
        cuts.add(body)
        snapshots.loads(value, horizons={"churn": HORIZON_DAYS})
    except Exception as error:
        if type(error).__module__ == "models.errors":
            return f"refused: {type(error).__name__}"
        raise
    cut, _ = cuts.cut_at(BEGIN_MS + 9 * DAY_MS)
    cut.probability([0.5] * len(NAMES))
    trainer = trainer_from(body, PARTITIONS, HORIZON_DAYS)
    learn(trainer, mark_record(0, BEGIN_MS + 30 * DAY_MS), 300, 0)
    return "accepted"


def resealed(value: bytes) -> bytes:
    """The cut with the checksum that its content asks for."""
    try:
        body = decode(value)
        return encode({**body, "checksum": snapshots.checksum_of(body)})
    except (AttributeError, CodecError, LookupError, TypeError, ValueError, RecursionError):
        return value


def after_first(mutate: Mutate) -> Mutate:
    """The same mutation behind a first byte that says something else."""

    def mutated(data: bytes, choose: random.Random) -> bytes | None:
        changed = mutate(data[1:], choose)
        return None if changed is None else b"\x01" + changed

    return mutated


def training_records() -> list[bytes]:
    """Examples and marks."""
    features = {"features": "AACAPwAAAEA="}
    bodies = [example_record(1), example_record(2, **features), mark_record(0, BEGIN_MS), mark_record(1, BEGIN_MS + 1)]
    return [encode(body) for body in bodies]


class TrainerUnderFire:
    """A trainer that is fed one record after the other, as from its topic, and begun anew now and then."""

    def __init__(self) -> None:
        self._offset = 0
        self._trainer = new_trainer(PARTITIONS, HORIZON_DAYS)

    def load(self, data: bytes) -> str:
        """One record."""
        self._offset += 1
        if self._offset % 2_000 == 0:
            self._trainer = new_trainer(PARTITIONS, HORIZON_DAYS)
        body = model_record(data, f"training-examples, partition 0, offset {self._offset}")
        published = learn(self._trainer, body, self._offset, self._offset)
        for record in published[:2]:
            model_record(encode(record), "model-cuts, partition 0, offset 0")
        return f"accepted: {body['type']}"


# -- configuration ----------------------------------------------------------------------------------------------------


def load_policy(data: bytes) -> str:
    """A policy file."""
    policy = parse_policy(data.decode(errors="replace"), "policy.toml")
    Compiled(policy)
    return "accepted"


def text_mutation(data: bytes, choose: random.Random) -> bytes | None:
    """Change a value of one line of a TOML file."""
    lines = data.split(b"\n")
    places = [at for at, line in enumerate(lines) if b"=" in line and not line.startswith(b"#")]
    if not places:
        return None
    at = places[int(choose.random() * len(places))]
    name, _, _ = lines[at].partition(b"=")
    value = TOML_VALUES[int(choose.random() * len(TOML_VALUES))]
    dice = choose.random()
    if dice < 0.1:
        del lines[at]
    elif dice < 0.2:
        lines.insert(at, lines[at])
    else:
        lines[at] = name + b"= " + value
    return b"\n".join(lines)


TOML_VALUES: Final = (
    *(b"0", b"-1", b"1", b"2.5", b"1e308", b"-1e308", b"nan", b"inf", b"9223372036854775808", b"1" * 40, b"1" * 5_000),
    *(b'""', b'" "', b'"\\u0000"', b'"x"', b"true", b"[]", b"[1, 2, 3, 4]", b"[4, 3, 2, 1]", b"{}", b"{a = 1}"),
    *(b"[" * 2_000, b"{a=" * 500, b"1979-05-27T07:32:00Z", b"1979-05-27", b"25:61:00", b"0x1f", b'"""', b"'", b"0.5"),
)


def settings_files() -> list[bytes]:
    """One line for each kind of setting."""
    return [
        b'brokers = "127.0.0.1:9092"\npartitions = 8\ngrace_minutes = 10.0\nembedded_trainer = true\n',
        b'state_dir = "state"\nlog_level = "info"\ntopic_prefix = "eu."\nheartbeat_s = 2\n',
        b"slice_ms = 10\nfetch_bytes = 1000000\ninput_retention_days = -1\nhttp_port = 0\n",
    ]


def load_settings_file(data: bytes) -> str:
    """One file; its lines are tried as variables too."""
    environment = {}
    for line in data.decode(errors="replace").replace("\x00", "").splitlines()[:3]:
        name, found, value = line.partition("=")
        if found and name.strip():
            environment[f"EBBTIDE_{name.strip().upper()}"] = value.strip().strip('"')
    with suppress(EbbtideError):  # the file is judged whatever its lines are as variables
        load_settings(environment)
    path = Path(tempfile.gettempdir()) / f"ebbtide-fuzz-{os.getpid()}.toml"
    try:
        path.write_bytes(data)
        load_settings({}, path)
    finally:
        path.unlink()
    return "accepted"


# -- dead letters -----------------------------------------------------------------------------------------------------

MOST_LETTER_BYTES: Final = 1_040_000
"""What a broker with default limits takes, less some room for lengths."""


def letters() -> list[bytes]:
    """Lengths of key, headers and value, and what they repeat."""
    return [bytes([1, 1, 1, 1]) + b"{}", bytes([200, 3, 0, 90]) + b"__streams.errors.exception", bytes(5)]


def load_letter(data: bytes) -> str:
    """A dead letter of any key, headers and value fits what a broker takes, and says why and where."""
    sizes = [*data[:4], 0, 0, 0, 0]
    unit = data[4:] or b"x"
    name = unit[:64].decode(errors="replace")
    headers = [(f"{name}{n}", unit * sizes[1]) for n in range(sizes[2] % 64)]
    value = None if not sizes[0] else (unit * sizes[0] * 64)[: sizes[0] * 8_192]
    why = Rejection("not_json", name * sizes[3], Position("clicks", 0, 7))
    key = (unit * sizes[3] * 64)[: sizes[3] * 1_024]
    sent, added = dead_letter(value, headers, why, BEGIN_MS, key=key)
    size = len(sent or b"") + sum(len(one.encode()) + len(raw) for one, raw in added) + min(len(key), MOST_KEY_BYTES)
    if size > MOST_LETTER_BYTES:
        raise AssertionError(f"a dead letter of {size} bytes: no broker takes it")
    if dict(added)["__streams.errors.offset"] != b"7":
        raise AssertionError("a dead letter does not say where its record stood")
    return "accepted" if sent == value else "cut"


def bytes_mutation(data: bytes, choose: random.Random) -> bytes | None:
    """Nothing better than libFuzzer's own."""
    return None


def loaders() -> dict[str, Loader]:
    """Every loader by name."""
    behind_first = after_first(json_mutation)
    words = ("type", "cut", "same", "frontier", "mark", "example", "version", "day", "NaN", "1e400")
    found = (
        Loader("profile", lambda: [b"\x01" + value for value in stored_profiles()], load_profile, profile_mutation),
        Loader("partition-record", partition_records, load_partition_record, json_mutation),
        Loader("cut", lambda: [b"\x01" + record for record in cut_records()], load_cut, behind_first, words),
        Loader("training-record", training_records, TrainerUnderFire().load, json_mutation, words),
        Loader("policy", lambda: [default_text().encode()], load_policy, text_mutation, ("[stages]", "= ", "nan")),
        Loader("settings", settings_files, load_settings_file, text_mutation, ("partitions", "brokers")),
        Loader("dead-letter", letters, load_letter, bytes_mutation),
    )
    return {loader.name: loader for loader in found}
