"""The least that Kafka must allow each role: read off the catalogue, complete, and nothing to spare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from docs.make_security import PAGE, with_lists
from streams.access_list import COMMANDS, Entry, Role, access_list
from streams.core.events import INPUT_TOPICS
from streams.settings import Settings
from streams.topics import (
    CATALOGUE,
    CHANGELOG,
    MODEL_CUTS,
    MODEL_EVENTS,
    MODEL_SCORECARD,
    TRAINING_EXAMPLES,
    USER_PROFILES,
)
from tests.support.backfills import ebbtide


def may(role: Role, operation: str) -> set[str]:
    return {entry.name for entry in access_list(role, Settings()) if entry.operation == operation}


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_writer_and_reader_of_a_topic_is_a_role(name: str) -> None:
    known = {command for commands in COMMANDS.values() for command in commands}
    assert {*CATALOGUE[name].written_by, *CATALOGUE[name].read_by} <= known


def test_no_command_is_of_two_roles() -> None:
    commands = [command for named in COMMANDS.values() for command in named]
    assert len(commands) == len(set(commands))


def test_the_worker_reads_inputs_and_its_changelog_and_learns_from_nobody_elses_outputs() -> None:
    read = may(Role.WORKER, "Read")
    assert {*INPUT_TOPICS, CHANGELOG, MODEL_CUTS, "ebbtide"} <= read
    assert not {USER_PROFILES, TRAINING_EXAMPLES, "segment-changes", "churn-risk", "dead-letters"} & read
    assert not set(INPUT_TOPICS) & may(Role.WORKER, "Write")


def test_the_trainer_sees_no_events_and_no_state() -> None:
    assert may(Role.TRAINER, "Read") == {TRAINING_EXAMPLES, MODEL_CUTS}
    assert may(Role.TRAINER, "Write") == {MODEL_CUTS, MODEL_EVENTS, MODEL_SCORECARD}


def test_a_publisher_reads_nothing() -> None:
    assert may(Role.PUBLISHER, "Write") == set(INPUT_TOPICS)
    assert may(Role.PUBLISHER, "Read") == set()


def test_an_operator_writes_nothing() -> None:
    assert may(Role.OPERATOR, "Write") == set()


def test_only_the_provisioner_and_a_replay_create_topics_and_only_a_replay_deletes_its_own() -> None:
    assert {role for role in Role if may(role, "Create")} == {Role.PROVISIONER, Role.REPLAYER}
    assert {role for role in Role if may(role, "Delete")} == {Role.REPLAYER}
    assert all(name.endswith("-") for name in may(Role.REPLAYER, "Delete") | may(Role.REPLAYER, "Create"))


def test_nobody_is_allowed_what_is_not_needed_to_work() -> None:
    operations = {entry.operation for role in Role for entry in access_list(role, Settings())}
    assert operations == {"Read", "Write", "Create", "Delete", "Describe", "DescribeConfigs"}


def test_names_carry_the_prefix_and_the_group_its_name() -> None:
    settings = replace(Settings(), topic_prefix="eu.", group_id="shop")
    entries = access_list(Role.WORKER, settings)
    assert all(entry.name.startswith("eu.") for entry in entries if entry.kind == "topic")
    assert [entry.name for entry in entries if entry.kind == "group"] == ["shop"]


def test_only_worker_and_bootstrap_touch_state_and_only_trainer_and_bootstrap_write_models() -> None:
    state = {role for role in Role if CHANGELOG in may(role, "Read") | may(role, "Write")}
    assert state == {Role.WORKER, Role.BOOTSTRAPPER}
    assert {role for role in Role if MODEL_CUTS in may(role, "Write")} == {Role.TRAINER, Role.BOOTSTRAPPER}


def test_no_entry_is_given_twice() -> None:
    for role in Role:
        keys = [(entry.operation, entry.kind, entry.name) for entry in access_list(role, Settings())]
        assert len(keys) == len(set(keys))


def test_the_command_prints_what_kafkas_tool_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EBBTIDE_TOPIC_PREFIX", "eu.")
    assert ebbtide("access", "trainer", "--user", "learner") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "kafka-acls --add --allow-principal User:learner --operation Write --topic eu.model-cuts"
    assert len(lines) == 1 + len(access_list(Role.TRAINER, Settings()))


def test_security_md_has_the_lists_of_today() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_lists(page) == page, "run: make docs"


def test_a_prefixed_entry_says_so_to_kafkas_tool() -> None:
    command = Entry("Create", "topic", "churn-risk-", "", prefixed=True).command("User:replayer")
    assert command.endswith("--operation Create --topic churn-risk- --resource-pattern-type prefixed")
