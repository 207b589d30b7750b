"""The conventions of every command: exit codes, one line for an error, plain text when piped, a quick help."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from streams.cli import app as program
from streams.cli import terminal
from streams.core.errors import BrokerError, EbbtideError, SettingsError


def run(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A program with one command that raises what it is told to."""

    def make(error: BaseException) -> None:
        def build() -> typer.Typer:
            app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

            @app.callback()
            def options() -> None:
                """Nothing before the command."""

            @app.command()
            def fail() -> None:
                raise error

            return app

        monkeypatch.setattr(program, "build", build)

    return make


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == "ebbtide 0.1.0\n"


def test_nothing_typed_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "Usage: ebbtide" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [(EbbtideError("x"), 1), (BrokerError("x"), 1), (SettingsError("x"), 2)],
    ids=lambda part: str(part),
)
def test_an_error_of_ours_ends_with_its_exit_code(raising: Any, error: EbbtideError, code: int) -> None:
    raising(error)
    assert run(["fail"]) == code


def test_an_error_of_ours_is_one_line_on_standard_error(raising: Any, capsys: pytest.CaptureFixture[str]) -> None:
    raising(BrokerError("Kafka is\n  away.", "Start it."))
    run(["fail"])
    assert capsys.readouterr() == ("", "error: Kafka is away. Start it.\n")


def test_ctrl_c_is_130_and_one_line(raising: Any, capsys: pytest.CaptureFixture[str]) -> None:
    raising(KeyboardInterrupt())
    assert run(["fail"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_a_bug_keeps_its_traceback(raising: Any) -> None:
    raising(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        program.main(["fail"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such"], "error: No such command 'no-such'. See: ebbtide --help\n"),
        (["topics", "--no-such"], "error: No such option: --no-such. See: ebbtide topics --help\n"),
        (["--no-such"], "error: No such option: --no-such. See: ebbtide --help\n"),
        (["broker", "--port", "x"], "error: Invalid value for '--port'"),
        (["broker", "--port", "70000"], "error: Invalid value for '--port'"),
    ],
)
def test_wrong_use_is_2_and_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(said)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_an_unknown_setting_is_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EBBTIDE_NO_SUCH", "1")
    assert run(["topics"]) == 2
    assert "Unknown setting EBBTIDE_NO_SUCH" in capsys.readouterr().err


def test_the_settings_file_of_the_working_folder_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ebbtide.toml").write_text("no_such = 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(["topics"]) == 2
    assert "Unknown setting no_such in ebbtide.toml" in capsys.readouterr().err


COMMANDS = [name.replace("_", "-") for name in program.COMMANDS if importlib.util.find_spec(f"streams.cli.{name}")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Examples:" in shown
    assert f"ebbtide {command}" in shown


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_plain_when_piped(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    run([*command.split(), "--help"])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "╭" not in shown


def test_there_are_no_completion_options(capsys: pytest.CaptureFixture[str]) -> None:
    run(["--help"])
    assert "completion" not in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom streams.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'faust', 'aiokafka', 'kafka', 'river', 'numpy', 'pyarrow', 'rocksdict', 'prometheus_client'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    checkout = Path(__file__).resolve().parents[2]
    ended = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True)
    assert ended.stderr == "[]\n"


def test_a_reader_that_has_enough_is_no_error() -> None:
    command = f"{sys.executable} -c \"from streams.cli import main; main(['--help'])\" | true"
    checkout = Path(__file__).resolve().parents[2]
    ended = subprocess.run(command, shell=True, cwd=checkout, capture_output=True, text=True, check=False)
    assert ended.stderr == ""


def test_a_piped_table_is_columns_of_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("name", "count"), [("a", 1), ("longer", 1000), (None, None)])
    assert capsys.readouterr().out == "name    count\na           1\nlonger   1000\n\n"


def test_a_table_in_a_terminal_shows_square_brackets_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    terminal.table(("name",), [("[red]x",)], title="t")
    assert "[red]x" in capsys.readouterr().out


def test_a_table_without_rows_shows_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("name", "count"), [])
    assert capsys.readouterr().out == "name  count\n"


def test_a_progress_bar_is_silent_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress() as bar:
        bar.advance(bar.add_task("file", total=10), 5)
    assert capsys.readouterr() == ("", "")


def test_a_table_shows_control_characters_of_a_log_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("name",), [("\x1b[31m用户\n",)])
    assert capsys.readouterr().out.splitlines()[1] == "\\x1b[31m用户\\n"


def test_a_group_without_its_command_shows_what_it_offers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Usage: ebbtide policy")
    assert len(lines) > 5
