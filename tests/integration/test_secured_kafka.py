"""Everything over SASL and TLS on Apache Kafka, each program as a user who may do exactly what SECURITY.md lists."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from streams.access_list import SETUP, Role
from streams.child_process import end_with_parent
from streams.core.errors import AccessError
from streams.live.bootstrap import Loaded, bootstrap
from streams.live.seams import Clock
from streams.live.worker import Worker
from streams.policies.reader import read_policy
from streams.provisioning import delete_topics, describe, ensure_topics
from streams.replay.files import open_log
from streams.replay.outgoing import partition_of
from streams.replay.publisher import publish
from streams.replay.run_options import RunOptions
from streams.settings import Settings
from streams.topics import CATALOGUE, CHANGELOG, CHURN_RISK, SHADOWED
from tests.support.backfills import ebbtide, instant, shop_rows
from tests.support.brokers import require_kafka
from tests.support.checkout import CHECKOUT
from tests.support.event_logs import write_log
from tests.support.going_on import handed_over
from tests.support.offline_runs import ListedRows
from tests.support.secured import SecuredKafka, secured_kafka
from tests.support.variables import variables

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

UNTIL = "2024-01-13"
DAYS, USERS = 12, 20
SOON_S = 0.5
"""Time for kafka-python to fail in; then the broker is asked why."""


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    require_kafka()
    with secured_kafka(tmp_path_factory.mktemp("secured")) as running:
        ensure_topics(running.role(Role.PROVISIONER))
        yield running


class Program:
    """``ebbtide`` in a process of its own, its log in a file."""

    def __init__(self, folder: Path, settings: Settings, *arguments: str) -> None:
        self.log = folder / f"{arguments[0]}.log"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", *arguments],
                cwd=CHECKOUT,
                env={**inherited(os.environ), **variables(replace(settings, state_dir=folder / "state", http_port=0))},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=end_with_parent(signal.SIGKILL),  # it waits for a broker that is gone, for ever
            )

    def ended(self) -> int:
        return self.process.wait(240)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(120)

    def wait_until(self, words: str, seconds: float = 120.0) -> None:
        """Wait until it says so, or fail with what it said."""
        deadline = time.monotonic() + seconds
        while words not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.2)

    def end(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        return self.log.read_text()


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("EBBTIDE_")}


@pytest.fixture(scope="module")
def worked(kafka: SecuredKafka, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log published, worked through up to an instant and learned from, by three users."""
    folder = tmp_path_factory.mktemp("worked")
    log = open_log(write_log(folder / "log.jsonl", shop_rows(users=USERS, days=DAYS)))
    report = publish([log], kafka.role(Role.PUBLISHER), resume_path=folder / "published.json")
    assert report.acknowledged == log.rows
    trainer = Program(folder, kafka.role(Role.TRAINER), "trainer")
    try:
        worker = Program(folder, kafka.role(Role.WORKER), "worker", "--clock", "log", "--until", UNTIL)
        assert worker.ended() == 0, worker.said()
        assert trainer.stop() == 0, trainer.said()
    finally:
        trainer.end()
    return folder


def test_worker_and_trainer_do_their_work_with_exactly_their_lists(kafka: SecuredKafka, worked: Path) -> None:
    ends = {state.topic.name for state in describe(kafka.settings()) if state.exists}
    assert ends == set(CATALOGUE)
    assert "ERROR" not in (worked / "worker.log").read_text()


def test_a_bootstrap_loads_with_exactly_its_list(kafka: SecuredKafka, tmp_path: Path) -> None:
    rows = shop_rows(users=USERS, days=DAYS)
    handed = handed_over(ListedRows(rows), RunOptions(horizon_days=30, policy=read_policy(None)), tmp_path / "out")
    apart = {"topic_prefix": "history.", "group_id": "history"}
    settings = kafka.role(Role.BOOTSTRAPPER, **apart)
    ensure_topics(kafka.settings(**apart))
    assert asyncio.run(bootstrap(settings, handed, partition_of)).users == handed.document.users > 0
    assert asyncio.run(bootstrap(settings, handed, partition_of)) == Loaded()


def test_an_operator_looks_with_exactly_its_list(
    kafka: SecuredKafka, worked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables(kafka.role(Role.OPERATOR)).items():
        monkeypatch.setenv(name, value)
    assert ebbtide("topics") == 0
    assert ebbtide("profile", "u3") == 0
    assert ebbtide("diff", "topics", "topics") == 0
    assert "u3:" in capsys.readouterr().out


def test_a_replay_needs_its_own_list_and_says_what_was_said_live(
    kafka: SecuredKafka, worked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replayer, operator = kafka.role(Role.REPLAYER), kafka.role(Role.OPERATOR)
    with monkeypatch.context() as environ:
        for name, value in variables(replayer).items():
            environ.setenv(name, value)
        assert ebbtide("replay", "--to", UNTIL, "--suffix", "trial") == 0
    with monkeypatch.context() as environ:
        for name, value in variables(operator).items():
            environ.setenv(name, value)
        assert ebbtide("diff", "topics", "topics:trial") == 0
    assert len(delete_topics(replayer, SHADOWED, suffix="-trial")) == len(SHADOWED)


@pytest.mark.parametrize(
    ("role", "command"),
    [
        (Role.REDRIVER, ["dead-letters", "list"]),
        (Role.REDRIVER, ["dead-letters", "redrive", "--dry-run"]),
        (Role.RELEASER, ["outputs"]),
    ],
)
def test_who_decides_about_letters_and_held_outputs_needs_its_list_alone(
    kafka: SecuredKafka, worked: Path, monkeypatch: pytest.MonkeyPatch, role: Role, command: list[str]
) -> None:
    for name, value in variables(kafka.role(role)).items():
        monkeypatch.setenv(name, value)
    assert ebbtide(*command) == 0


def test_a_wrong_password_ends_a_command_with_what_to_check(
    kafka: SecuredKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = replace(kafka.user("worker"), sasl_password_file=None, sasl_password="not-its-password")
    for name, value in variables(wrong).items():
        monkeypatch.setenv(name, value)
    assert ebbtide("topics") == 1
    said = capsys.readouterr().err
    assert "does not accept the user 'worker' with the password given" in said
    assert "EBBTIDE_SASL_PASSWORD_FILE" in said
    assert "not-its-password" not in said


def test_a_worker_with_a_wrong_password_ends_at_the_start_and_waits_for_no_broker(kafka: SecuredKafka) -> None:
    wrong = replace(kafka.user("worker"), sasl_password_file=None, sasl_password="not-its-password")
    worker = Worker(wrong, read_policy(None), Clock(by_log=True))
    with pytest.raises(AccessError, match="does not accept the user 'worker'"):
        asyncio.run(worker.run())


def refused(settings: Settings) -> str:
    with pytest.raises(AccessError) as caught:
        describe(settings, timeout_s=SOON_S)
    return str(caught.value)


def test_a_mechanism_that_the_broker_does_not_offer_names_those_that_it_does(kafka: SecuredKafka) -> None:
    said = refused(replace(kafka.user("worker"), sasl_mechanism="scram-sha-256"))
    assert "offers SCRAM-SHA-512, not SCRAM-SHA-256. Set EBBTIDE_SASL_MECHANISM to scram-sha-512." in said


def test_an_authority_that_did_not_sign_the_brokers_certificate_is_told(kafka: SecuredKafka) -> None:
    assert "Name the authority that signed it with EBBTIDE_TLS_CA" in refused(
        replace(kafka.user("worker"), tls_ca=None)
    )


def test_a_host_name_that_the_certificate_does_not_have_is_told(kafka: SecuredKafka) -> None:
    settings = kafka.user("worker")
    said = refused(replace(settings, brokers=settings.brokers.replace("127.0.0.1", "localhost")))
    assert "Hostname mismatch, certificate is not valid for 'localhost'" in said


def test_no_tls_where_tls_is_spoken_is_told(kafka: SecuredKafka) -> None:
    assert "speaks TLS, and we do not" in refused(Settings(brokers=kafka.sasl))


def test_no_user_where_one_is_asked_for_is_told(kafka: SecuredKafka) -> None:
    settings = Settings(brokers=kafka.sasl, security_protocol="ssl", tls_ca=kafka.authority.certificate)
    assert "asks for a user and a password, and we send none" in refused(settings)


def test_a_user_where_none_is_asked_for_is_told(kafka: SecuredKafka) -> None:
    settings = replace(kafka.user("worker"), brokers=kafka.plain, security_protocol="sasl_plaintext", tls_ca=None)
    assert "asks for no user and no password" in refused(settings)


def test_a_broker_that_asks_for_a_certificate_takes_ours(kafka: SecuredKafka) -> None:
    none = Settings(brokers=kafka.mutual, security_protocol="ssl", tls_ca=kafka.authority.certificate)
    assert "refused us with no certificate" in refused(none)
    pair = kafka.authority.sign("someone", "DNS:someone.invalid")
    said = refused(replace(none, tls_certificate=pair.certificate, tls_key=pair.key))
    assert "does not let User:(subject of tls_certificate) do this: Describe on topic" in said  # known, allowed nothing


def test_a_user_who_is_allowed_nothing_is_told_what_to_allow_first(kafka: SecuredKafka) -> None:
    with pytest.raises(AccessError) as caught:
        ensure_topics(kafka.user("nobody"), SETUP[Role.TRAINER], roles=[Role.TRAINER])
    assert "--allow-principal 'User:nobody' --operation" in str(caught.value)


@pytest.mark.parametrize(
    ("operation", "kind", "name"),
    [
        ("Write", "topic", f"shop.{CHURN_RISK}"),
        ("Read", "topic", "shop.clicks"),
        ("DescribeConfigs", "topic", "shop.ebbtide-changelog"),
        ("Read", "group", "shop"),
    ],
)
def test_one_entry_less_and_a_worker_does_not_start(
    kafka: SecuredKafka, worked: Path, operation: str, kind: str, name: str
) -> None:
    settings = kafka.role(Role.WORKER)
    kafka.take_away("worker", operation, kind, name)
    with pytest.raises(AccessError, match=f"does not let User:worker do this: {operation} on {kind} {name}"):
        ensure_topics(settings, roles=[Role.WORKER])


def test_a_permission_taken_from_a_worker_at_work_ends_it_with_the_reason(
    kafka: SecuredKafka, worked: Path, tmp_path: Path
) -> None:
    worker = Program(tmp_path, kafka.role(Role.WORKER), "worker", "--clock", "log")
    try:
        worker.wait_until("Reading partitions [0, 1]")
        kafka.take_away("worker", "Write", "topic", f"shop.{CHANGELOG}")
        log = open_log(write_log(tmp_path / "more.jsonl", shop_rows(seed=8, users=USERS, days=DAYS)))
        publish([log], kafka.role(Role.PUBLISHER), resume_path=tmp_path / "published.json")
        assert worker.ended() == 1
        assert f"does not let User:worker do this: Write on topic shop.{CHANGELOG}" in worker.said()
    finally:
        worker.end()


def test_the_end_of_the_run_is_behind_the_log() -> None:
    assert instant(UNTIL) >= max(row["ts"] for row in shop_rows(users=USERS, days=DAYS))
