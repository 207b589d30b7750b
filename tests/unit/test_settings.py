"""Settings: environment over file over defaults, and a clear no to everything else."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.errors import SettingsError
from streams.settings import CATALOGUE, Settings, load_settings, settings_table


def toml(folder: Path, text: str) -> Path:
    path = folder / "ebbtide.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_given_gives_the_defaults() -> None:
    assert load_settings({}) == Settings()


def test_the_file_stands_over_the_defaults(tmp_path: Path) -> None:
    assert load_settings({}, toml(tmp_path, "partitions = 3\n")).partitions == 3


def test_the_environment_stands_over_the_file(tmp_path: Path) -> None:
    path = toml(tmp_path, "partitions = 3\n")
    assert load_settings({"EBBTIDE_PARTITIONS": "5"}, path).partitions == 5


def test_other_variables_are_not_looked_at() -> None:
    assert load_settings({"PATH": "x", "KAFKA_BROKERS": "y", "ebbtide_partitions": "z"}) == Settings()


def test_variables_of_the_tests_are_passed_over() -> None:
    assert load_settings({"EBBTIDE_TEST_KAFKA": "1"}) == Settings()


def test_an_unknown_variable_names_what_is_allowed() -> None:
    with pytest.raises(SettingsError, match="EBBTIDE_PARTITION in the environment") as caught:
        load_settings({"EBBTIDE_PARTITION": "5"})
    assert "Did you mean EBBTIDE_PARTITIONS?" in str(caught.value)
    assert all(f"EBBTIDE_{name.upper()}" in str(caught.value) for name in CATALOGUE)


def test_an_unknown_key_names_the_file_and_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Unknown setting broker in .*ebbtide.toml") as caught:
        load_settings({}, toml(tmp_path, 'broker = "x:1"\n'))
    assert all(name in str(caught.value) for name in CATALOGUE)


@pytest.mark.parametrize("key", ["EBBTIDE_PARTITIONS", "Partitions", "kafka"])
def test_a_key_of_another_spelling_is_unknown(tmp_path: Path, key: str) -> None:
    with pytest.raises(SettingsError, match="Unknown setting"):
        load_settings({}, toml(tmp_path, f"{key} = 3\n"))


@pytest.mark.parametrize("variable", ["EBBTIDE_partitions", "EBBTIDE_Partitions", "EBBTIDE_"])
def test_a_variable_of_another_spelling_is_unknown(variable: str) -> None:
    with pytest.raises(SettingsError, match="Unknown setting"):
        load_settings({variable: "3"})


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("PARTITIONS", "0", "a whole number from 1 to 10000"),
        ("PARTITIONS", "eight", "a whole number"),
        ("PARTITIONS", "2.5", "a whole number"),
        ("PARTITIONS", "", "a whole number"),
        ("SLICE_MS", "nan", "a number from 0 to 10000"),
        ("ACK_TIMEOUT_S", "0", "a number, 1 or more"),
        ("HTTP_PORT", "65536", "from 0 to 65535"),
        ("LOG_LEVEL", "loud", "debug or info or warning or error"),
        ("EMBEDDED_TRAINER", "maybe", "true or false"),
        ("BROKERS", "localhost", "host:port"),
        ("BROKERS", "localhost:0", "host:port"),
        ("BROKERS", "a:1,,b:2", "host:port"),
        ("TOPIC_PREFIX", "a b", "letters, digits"),
        ("GROUP_ID", "", "1 to 100 letters"),
        ("INPUT_RETENTION_DAYS", "0", "-1 to keep for ever"),
        ("STATE_DIR", "", "a path"),
    ],
)
def test_a_bad_value_names_the_variable_and_what_is_allowed(name: str, text: str, allowed: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({f"EBBTIDE_{name}": text})
    assert str(caught.value).startswith(f"EBBTIDE_{name} = ")
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ('partitions = "8"', "a whole number"),
        ("partitions = true", "a whole number"),
        ("partitions = 0", "a whole number from 1"),
        ("embedded_trainer = 1", "true or false"),
        ("brokers = 9092", "host:port"),
        ("slice_ms = '3'", "a number"),
        ("policy = 3", "text"),
    ],
)
def test_a_bad_value_in_the_file_names_the_file(tmp_path: Path, line: str, allowed: str) -> None:
    with pytest.raises(SettingsError, match="in .*ebbtide.toml = .* is not allowed") as caught:
        load_settings({}, toml(tmp_path, line))
    assert allowed in str(caught.value)


def test_a_table_in_the_file_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Unknown setting kafka"):
        load_settings({}, toml(tmp_path, "[kafka]\npartitions = 3\n"))


def test_a_file_that_is_not_toml_says_where(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not TOML.*line 2"):
        load_settings({}, toml(tmp_path, "partitions = 3\nbroken\n"))


def test_a_binary_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ebbtide.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings({}, path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_settings({}, tmp_path / "none.toml")


def test_a_folder_in_place_of_the_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings({}, tmp_path)


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("EBBTIDE_EMBEDDED_TRAINER", "TRUE", True),
        ("EBBTIDE_EMBEDDED_TRAINER", "off", False),
        ("EBBTIDE_POLICY", "", None),
        ("EBBTIDE_POLICY", "/p.toml", Path("/p.toml")),
        ("EBBTIDE_STATE_DIR", "s", Path("s")),
        ("EBBTIDE_SLICE_MS", "2.5", 2.5),
        ("EBBTIDE_PARTITIONS", " 12 ", 12),
        ("EBBTIDE_INPUT_RETENTION_DAYS", "-1", -1),
        ("EBBTIDE_BROKERS", "a:1, [::1]:2", "a:1, [::1]:2"),
        ("EBBTIDE_TOPIC_PREFIX", "", ""),
    ],
)
def test_text_becomes_the_type_of_the_setting(variable: str, text: str, expected: object) -> None:
    assert getattr(load_settings({variable: text}), variable.removeprefix("EBBTIDE_").lower()) == expected


def test_a_whole_number_in_the_file_may_stand_for_a_float(tmp_path: Path) -> None:
    value = load_settings({}, toml(tmp_path, "slice_ms = 3\n")).slice_ms
    assert (value, type(value)) == (3.0, float)


def test_a_heartbeat_must_fit_three_times_into_the_session() -> None:
    with pytest.raises(SettingsError, match="more than a third"):
        load_settings({"EBBTIDE_SESSION_TIMEOUT_S": "8"})


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().partitions = 3  # type: ignore[misc]


def test_settings_built_directly_are_checked_too() -> None:
    with pytest.raises(SettingsError, match="partitions = 0"):
        Settings(partitions=0)


def test_every_field_is_in_the_catalogue_with_a_meaning() -> None:
    assert list(CATALOGUE) == [item.name for item in fields(Settings)]
    assert all(rule.meaning for rule in CATALOGUE.values())


def test_the_table_has_one_row_for_each_setting() -> None:
    rows = settings_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(CATALOGUE)


@given(st.sampled_from(sorted(CATALOGUE)), st.text(max_size=20))
def test_any_text_is_either_taken_or_a_settings_error(name: str, text: str) -> None:
    message = ""
    try:
        load_settings({f"EBBTIDE_{name.upper()}": text})
    except SettingsError as error:
        message = str(error)
    assert not message or name in message.lower()
