"""``ebbtide state`` as a person runs it."""

from __future__ import annotations

import json

import pytest

from streams.cli.app import main
from streams.settings import Settings
from tests.support.brokers import RunningBroker
from tests.support.installations import Installation
from tests.support.variables import variables


@pytest.fixture
def settings(embedded_broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = embedded_broker.settings(partitions=1)
    for name, value in variables(settings).items():
        monkeypatch.setenv(name, value)
    return settings


def ran(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["state", *arguments])
    return int(ended.value.code or 0)


def test_state_that_fits_is_said_so(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    Installation(settings, events=3).applied(3, committed=2)
    assert ran("check") == 0
    assert capsys.readouterr().out == "All fits: 1 of 1 partitions have state, and workers can go on with it.\n"


def test_what_does_not_fit_is_shown_with_its_offsets_and_nothing_is_written_unasked(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    Installation(settings, events=3).applied(2, committed=3)
    assert ran("accept") == 1
    shown = capsys.readouterr()
    assert "group ahead of the state" in shown.out
    assert shown.out.splitlines()[-1].split() == ["0", f"{settings.topic_prefix}purchases", "2", "2", "3", "0", "3"]
    assert "Nothing was written" in shown.err
    assert ran("check") == 1


def test_what_is_accepted_fits_from_then_on(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    Installation(settings, events=3).applied(2, committed=3)
    assert ran("accept", "--yes") == 0
    assert "1 partitions go on as shown; 0 misfits are left. Start the workers." in capsys.readouterr().out


def test_for_a_script_it_is_one_object_a_partition(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    Installation(settings, events=3).applied(3, cluster_id="another")
    assert ran("check", "--json") == 1
    body = json.loads(capsys.readouterr().out)
    assert [body["partition"], body["version"], body["inputs"][0]["applied"]] == [0, 3, 3]
    assert [misfit["cause"] for misfit in body["misfits"]] == ["other cluster"]


def test_what_cannot_be_accepted_is_refused_with_what_to_do(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    Installation(settings, events=3).applied(3, partitions=8)
    assert ran("accept", "--yes") == 1
    assert "A partition count cannot change under a state." in capsys.readouterr().err
