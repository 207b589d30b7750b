"""How Kafka is reached: what clients are given, what is refused before they are, and that no secret is shown."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.core.errors import SettingsError
from streams.kafka_access import connection_options, denied, principal, refusal
from streams.secret_files import secret
from streams.settings import Settings, load_settings

SECRET = "kq7-not-to-be-seen"
SASL = Settings(
    brokers="kafka:9093", security_protocol="sasl_ssl", sasl_username="worker", sasl_password=SECRET, http_token=SECRET
)


def test_without_security_nothing_but_the_brokers_is_given() -> None:
    assert connection_options(Settings(brokers="a:1,b:2")) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }


def test_a_user_and_the_password_are_given_in_the_words_of_the_clients() -> None:
    options = connection_options(SASL)
    context = options.pop("ssl_context")
    assert options == {
        "bootstrap_servers": ["kafka:9093"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "worker",
        "sasl_plain_password": SECRET,
    }
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_host_names_are_checked_and_old_tls_is_not_spoken() -> None:
    context = connection_options(Settings(security_protocol="ssl"))["ssl_context"]
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_secret_is_in_no_repr_of_the_settings() -> None:
    assert SECRET not in f"{SASL!r} {SASL}"


@pytest.mark.parametrize(
    "load",
    [
        lambda: load_settings({"EBBTIDE_HTTP_TOKEN": "short" + SECRET[:4]}),
        lambda: load_settings({"EBBTIDE_SASL_PASWORD": SECRET}),
        lambda: Settings(http_token=SECRET[:9]),
    ],
)
def test_a_refused_secret_is_not_quoted(load: Callable[[], Settings]) -> None:
    with pytest.raises(SettingsError) as caught:
        load()
    assert SECRET[:4] not in str(caught.value)


def test_a_secret_of_another_type_in_the_file_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "ebbtide.toml"
    path.write_text("sasl_password = 471147114711\n")
    with pytest.raises(SettingsError, match="not shown") as caught:
        load_settings({}, path)
    assert "4711" not in str(caught.value)


def test_a_password_keeps_its_spaces() -> None:
    assert load_settings({"EBBTIDE_SASL_PASSWORD": " a b "}).sasl_password == " a b "


def test_a_secret_may_stand_in_a_file_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    assert secret(Settings(sasl_password_file=path), "sasl_password") == SECRET


@pytest.mark.parametrize("content", [b"", b"\n", SECRET.encode() + b"\nmore\n", b"\xff" + SECRET.encode()])
def test_a_file_that_holds_no_secret_is_named_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"sasl_password_file = {path} cannot be used") as caught:
        secret(Settings(sasl_password_file=path), "sasl_password")
    assert SECRET not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"http_token_file = .*token cannot be used: it cannot be read"):
        secret(Settings(http_token_file=tmp_path / "token"), "http_token")


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="sasl_password and sasl_password_file are both set"):
        secret(Settings(sasl_password=SECRET, sasl_password_file=tmp_path), "sasl_password")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (Settings(sasl_username="worker"), "sasl_username would not be used with security_protocol = plaintext"),
        (Settings(tls_ca=Path("ca")), "tls_ca would not be used with security_protocol = plaintext"),
        (Settings(security_protocol="ssl", sasl_password=SECRET), "sasl_password would not be used"),
        (Settings(security_protocol="sasl_plaintext", sasl_username="w", tls_key=Path("k")), "tls_key would not"),
        (Settings(security_protocol="sasl_ssl"), "security_protocol = sasl_ssl needs a name and a password"),
        (Settings(security_protocol="sasl_ssl", sasl_username="w"), "needs a name and a password"),
        (Settings(security_protocol="ssl", tls_key=Path("k")), "tls_key is set without tls_certificate"),
        (
            Settings(security_protocol="ssl", tls_ca=Path("no/ca.pem")),
            "tls_ca = no/ca.pem cannot be used: No such file",
        ),
        (Settings(security_protocol="ssl", tls_certificate=Path("no.pem")), "tls_certificate = no.pem cannot be used"),
    ],
)
def test_settings_that_do_not_hold_together_are_refused(settings: Settings, named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        connection_options(settings)
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("not a certificate")
    with pytest.raises(SettingsError, match="tls_ca = .* cannot be used: NO_CERTIFICATE_OR_CRL_FOUND"):
        connection_options(Settings(security_protocol="ssl", tls_ca=path))


def test_a_refused_operation_is_named_with_what_allows_it() -> None:
    message = str(denied(SASL, "Read", "topic churn-risk"))
    assert "does not let User:worker do this: Read on topic churn-risk" in message
    assert "kafka-acls --add --allow-principal 'User:worker' --operation Read --topic churn-risk" in message


def test_a_refusal_is_found_behind_the_error_that_it_caused() -> None:
    class SaslAuthenticationFailedError(Exception):
        """As both clients name it."""

    outer = RuntimeError("no broker")
    outer.__cause__ = SaslAuthenticationFailedError("wrong")
    found = refusal(outer, SASL, "Read", "topic clicks")
    assert found is not None
    assert "does not accept the user 'worker' with the password given (scram-sha-512)" in str(found)


@pytest.mark.parametrize(
    ("kind", "named", "resource"),
    [
        ("TopicAuthorizationFailedError", "shop.clicks", "topic shop.clicks"),
        ("TopicAuthorizationFailedError", {"shop.clicks", "shop.searches"}, "topic shop.clicks"),
        ("TopicAuthorizationFailedError", "no name of a topic", "topic as-we-know-it"),
        ("GroupAuthorizationFailedError", "whatever", "group ebbtide"),
    ],
)
def test_what_the_broker_names_is_what_is_told(kind: str, named: object, resource: str) -> None:
    found = refusal(type(kind, (Exception,), {})(named), SASL, "Read", "topic as-we-know-it")
    assert f"do this: Read on {resource}." in str(found)


def test_an_outage_is_no_refusal() -> None:
    assert refusal(TimeoutError(), SASL, "Read", "topic clicks") is None


def test_without_a_user_we_are_anonymous() -> None:
    assert principal(Settings()) == "User:ANONYMOUS"
