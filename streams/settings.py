"""Settings: ``EBBTIDE_*`` variables over ``ebbtide.toml`` over defaults.

Every setting stands once, as a field of :class:`Settings`, with its unit, its limits and its meaning. An unknown name
or a bad value stops the start with what is allowed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from streams.core.errors import SettingsError
from streams.setting_rules import Rule

PREFIX: Final = "EBBTIDE_"
TEST_PREFIX: Final = "EBBTIDE_TEST_"
"""Variables that belong to the tests and are passed over."""

LOG_LEVELS: Final = ("debug", "info", "warning", "error")
SECURITY_PROTOCOLS: Final = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
SASL_MECHANISMS: Final = ("scram-sha-512", "scram-sha-256", "plain")
_TOPIC_PART: Final = re.compile(r"[A-Za-z0-9._-]*")
_BROKER: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:,/]+):([0-9]{1,5})")


def _brokers(value: str) -> bool:
    matches = [_BROKER.fullmatch(part.strip()) for part in value.split(",")]
    return all(match and 0 < int(match[2]) < 65_536 for match in matches)


def _topic_part(value: str) -> bool:
    return bool(_TOPIC_PART.fullmatch(value)) and len(value) <= 100


def _named(value: str) -> bool:
    return bool(value) and _topic_part(value)


def _retention(value: int) -> bool:
    return value == -1 or value >= 1


_RETENTION: Final = "a number of days, or -1 to keep for ever"


def _setting(default: Any, meaning: str, **limits: Any) -> Any:
    rule = Rule(meaning, **limits)
    return field(default=default, repr=not rule.secret, metadata={"rule": rule})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, with its default. Made by :func:`load_settings`; tests may build one directly."""

    brokers: str = _setting(
        "127.0.0.1:9092",
        "Kafka brokers to start from",
        test=_brokers,
        allowed="host:port, several separated by commas",
    )
    security_protocol: str = _setting(
        "plaintext",
        "how Kafka is spoken to; with TLS certificates and host names are verified",
        choices=SECURITY_PROTOCOLS,
    )
    sasl_mechanism: str = _setting("scram-sha-512", "how the password is proved", choices=SASL_MECHANISMS)
    sasl_username: str = _setting("", "user that Kafka knows us as")
    sasl_password: str = _setting("", "its password; better in a file", secret=True)
    sasl_password_file: Path | None = _setting(None, "file that holds the password alone")
    tls_ca: Path | None = _setting(
        None, "file (PEM) of the only authorities to trust; without it the system's are trusted"
    )
    tls_certificate: Path | None = _setting(None, "our own certificate (PEM), where Kafka asks for one (mutual TLS)")
    tls_key: Path | None = _setting(None, "key (PEM, without a passphrase) of our certificate, where not in its file")
    topic_prefix: str = _setting(
        "",
        "stands before every topic name, to share a Kafka with others",
        test=_topic_part,
        allowed="up to 100 letters, digits, '.', '_' and '-'",
    )
    partitions: int = _setting(
        8,
        "partitions of inputs, changelog and keyed outputs; cannot change later, so choose more than today needs",
        at_least=1,
        at_most=10_000,
    )
    replication_factor: int = _setting(
        1, "copies of every topic; 3 on a real cluster", unit="brokers", at_least=1, at_most=10
    )
    group_id: str = _setting(
        "ebbtide",
        "consumer group of the workers, and name of their state",
        test=_named,
        allowed="1 to 100 letters, digits, '.', '_' and '-'",
    )
    state_dir: Path = _setting(Path(".ebbtide/state"), "folder of the local store; rebuilt from the changelog if lost")
    policy: Path | None = _setting(None, "policy file (TOML); without one the policy that Ebbtide ships")
    horizon_days: int = _setting(
        30, "a customer without a purchase for this long after a score has churned", unit="d", at_least=1, at_most=365
    )
    propensity_horizon_days: int = _setting(
        7, "how far the propensity to buy looks ahead; below 7 users are scored daily", unit="d", at_least=1, at_most=90
    )
    session_timeout_s: float = _setting(
        # Faust was tried with 30 s. A worker put out of the group wrongly costs one rebalance, as the fence makes it
        # harmless, while after a kill every silent user waits this long: so short, but three heartbeats long.
        10.0,
        "a worker silent for this long loses its partitions; also what a start after a kill waits at most",
        unit="s",
        at_least=6,
        at_most=300,
    )
    heartbeat_s: float = _setting(
        3.0, "between two signs of life to the group; at most a third of the session timeout", unit="s", at_least=0.1
    )
    request_timeout_s: float = _setting(90.0, "one request to Kafka", unit="s", at_least=1, at_most=600)
    commit_interval_s: float = _setting(1.0, "between two commits of offsets", unit="s", at_least=0.05, at_most=60)
    ack_timeout_s: float = _setting(
        60.0,
        "an output or changelog record without Kafka's ack for this long ends the worker; outages do not count",
        unit="s",
        at_least=1,
    )
    restore_timeout_s: float = _setting(
        90.0, "a restore without progress for this long ends the worker; outages do not count", unit="s", at_least=1
    )
    stall_timeout_s: float = _setting(
        100.0,
        "the process ends where records wait, or partitions are being taken, and nothing moves for this long; outages "
        "do not count",
        unit="s",
        at_least=1,
    )
    grace_minutes: float = _setting(
        10.0, "how far events may arrive out of order and still count in order", unit="min", at_least=0, at_most=1_440
    )
    slice_records: int = _setting(500, "records in one slice, at most, while live", at_least=1, at_most=1_000_000)
    slice_ms: float = _setting(10.0, "a slice waits this long to fill, at most", unit="ms", at_least=0, at_most=10_000)
    behind_slice_records: int = _setting(
        20_000, "records in one slice, at most, while behind", at_least=1, at_most=1_000_000
    )
    fetch_bytes: int = _setting(
        8 * 1024 * 1024, "one fetch of one partition, at most", unit="B", at_least=65_536, at_most=268_435_456
    )
    hold_share: float = _setting(
        0.5,
        "outputs of a partition are held when more than this share of the users seen in a minute change stage, until "
        "`ebbtide outputs` decides; 1 switches that off",
        at_least=0.01,
        at_most=1,
    )
    hold_least_users: int = _setting(
        50, "fewer users seen in a minute of a partition are never a reason to hold its outputs", at_least=1
    )
    cache_profiles: int = _setting(
        200_000, "decoded profiles kept in memory per worker, about 4 KB each", at_least=1, at_most=100_000_000
    )
    input_retention_days: int = _setting(
        30,
        "how long clicks, searches and purchases stay in Kafka, and so how far `replay` reaches back",
        unit="d",
        test=_retention,
        allowed=_RETENTION,
    )
    output_retention_days: int = _setting(
        30,
        "how long segment changes, risks, late events and dead letters stay in Kafka",
        unit="d",
        test=_retention,
        allowed=_RETENTION,
    )
    dead_letter_limit_share: float = _setting(
        0.5,
        "of an input's records of a minute; a worker stops rather than make more of them dead letters; 1 never stops",
        unit="ratio",
        at_least=0,
        at_most=1,
    )
    dead_letter_limit_per_minute: int = _setting(
        1_000, "dead letters of an input in a minute that never stop a worker, whatever their share", at_least=0
    )
    embedded_trainer: bool = _setting(False, "run the trainer inside the worker's process (small set-ups)")
    http_host: str = _setting(
        "127.0.0.1",
        "address of /metrics, /healthz and /readyz; 0.0.0.0 shows them to the network, which takes a token",
    )
    http_port: int = _setting(6066, "port of the same; 0 takes any free one", at_least=0, at_most=65_535)
    http_token: str = _setting(
        "",
        "bearer token that /metrics asks for; better in a file",
        secret=True,
        test=lambda value: not value or len(value) >= 16,
        allowed="16 characters or more",
    )
    http_token_file: Path | None = _setting(None, "file that holds the token alone")
    log_level: str = _setting("info", "how much is logged", choices=LOG_LEVELS)

    def __post_init__(self) -> None:
        for name in CATALOGUE:
            CATALOGUE[name].judge(getattr(self, name), name)
        if self.heartbeat_s * 3 > self.session_timeout_s:
            raise SettingsError(
                f"heartbeat_s = {self.heartbeat_s:g} is more than a third of session_timeout_s = "
                f"{self.session_timeout_s:g}.",
                "Lower the one or raise the other.",
            )


_FIELDS: Final[dict[str, Field[Any]]] = {item.name: item for item in fields(Settings)}
CATALOGUE: Final[dict[str, Rule]] = {
    name: replace(item.metadata["rule"], kind=str(item.type)) for name, item in _FIELDS.items()
}
"""Every setting by name, in the order of the documentation."""


def load_settings(environ: Mapping[str, str], toml_path: Path | None = None) -> Settings:
    """Settings from the environment over a TOML file over the defaults.

    Parameters
    ----------
    environ
        The environment; only ``EBBTIDE_*`` is looked at, ``EBBTIDE_TEST_*`` is left to the tests.
    toml_path
        A file with one ``name = value`` a line, or None. Relative paths in it count from the working folder.

    Raises
    ------
    SettingsError
        The file cannot be read, a name is unknown, or a value is not allowed; the message lists what is.

    Examples
    --------
    >>> load_settings({"EBBTIDE_PARTITIONS": "16"}).partitions
    16
    """
    given: dict[str, Any] = {}
    if toml_path is not None:
        for name, value in _read_toml(toml_path).items():
            if name not in CATALOGUE:
                raise _unknown(name, f"in {toml_path}", list(CATALOGUE))
            where = f"{name} in {toml_path}"
            given[name] = CATALOGUE[name].from_toml(value, where)
            CATALOGUE[name].judge(given[name], where)
    variables = {f"{PREFIX}{name.upper()}": name for name in CATALOGUE}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable.startswith(TEST_PREFIX):
            continue
        if variable not in variables:
            raise _unknown(variable, "in the environment", list(variables))
        name = variables[variable]
        given[name] = CATALOGUE[name].from_text(environ[variable], variable)
        CATALOGUE[name].judge(given[name], variable)
    return Settings(**given)


def settings_table() -> str:
    """The catalogue as a Markdown table, for the documentation.

    >>> settings_table().splitlines()[0]
    '| setting | variable | default | unit | meaning |'
    """
    lines = ["| setting | variable | default | unit | meaning |", "|---|---|---|---|---|"]
    for name, rule in CATALOGUE.items():
        default = _FIELDS[name].default
        shown = "" if default in (None, "") else str(default).lower() if isinstance(default, bool) else str(default)
        meaning = f"{rule.meaning} ({', '.join(rule.choices)})" if rule.choices else rule.meaning
        lines.append(
            f"| `{name}` | `{PREFIX}{name.upper()}` | {f'`{shown}`' if shown else ''} | {rule.unit} | {meaning} |"
        )
    return "\n".join(lines) + "\n"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"The settings file {path} cannot be read: {error.strerror}.", "Name another, or none."
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"The settings file {path} is not UTF-8 text.", "Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and brackets without end
        raise SettingsError(
            f"The settings file {path} is not TOML: {error}.", "Write one name = value a line."
        ) from error


def _unknown(given: str, where: str, allowed: list[str]) -> SettingsError:
    close = difflib.get_close_matches(given, allowed, n=1)
    meant = f"Did you mean {close[0]}? " if close else ""
    return SettingsError(f"Unknown setting {given} {where}.", f"{meant}Allowed: {', '.join(allowed)}.")
