"""Why nobody answers, told from a look at the connection: certificates, names, protocols."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from streams.child_process import free_port
from streams.core.errors import AccessError, BrokerError
from streams.reaching import why_unreachable
from streams.settings import Settings
from tests.support.certificates import Authority, Pair


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Pair:
    return authority.sign("server")


@contextmanager
def listening(pair: Pair | None, clients: Path | None = None, answer: bytes = b"") -> Iterator[int]:
    """A server that shakes hands, hears a request and hangs up; without a pair it gives one answer to all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if pair is not None:
        context.load_cert_chain(pair.both)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED

    def serve() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                connection.settimeout(10.0)
                with connection:
                    if pair is None:
                        connection.recv(100)  # whatever it is, it is not Kafka's protocol
                        connection.sendall(answer)
                        continue
                    with context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(100)

    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        done.set()
        thread.join(10.0)


def told(settings: Settings) -> str:
    found = why_unreachable(settings)
    assert found is not None
    return str(found)


def with_tls(authority: Authority, port: int, host: str = "127.0.0.1") -> Settings:
    return Settings(brokers=f"{host}:{port}", security_protocol="ssl", tls_ca=authority.certificate)


def test_a_broker_that_we_trust_is_no_reason(authority: Authority, server: Pair) -> None:
    with listening(server) as port:
        assert why_unreachable(with_tls(authority, port)) is None


def test_an_unknown_authority_says_which_setting_names_it(authority: Authority, server: Pair, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    with listening(server) as port:
        said = told(with_tls(other, port))
    assert f"certificate of the Kafka broker 127.0.0.1:{port} is not trusted" in said
    assert "EBBTIDE_TLS_CA" in said


def test_a_certificate_for_another_host_is_not_trusted(authority: Authority) -> None:
    elsewhere = authority.sign("elsewhere", "IP:127.0.0.9")
    with listening(elsewhere) as port:
        assert "IP address mismatch" in told(with_tls(authority, port))


def test_an_expired_certificate_says_so(authority: Authority) -> None:
    expired = authority.sign("expired", days=-1)
    with listening(expired) as port:
        assert "is not trusted: certificate has expired. Renew the broker's certificate." in told(
            with_tls(authority, port)
        )


def test_a_broker_that_wants_our_certificate_says_what_to_set(authority: Authority, server: Pair) -> None:
    with listening(server, clients=authority.certificate) as port:
        said = told(with_tls(authority, port))
    assert "refused us with no certificate" in said
    assert "EBBTIDE_TLS_CERTIFICATE and EBBTIDE_TLS_KEY" in said


def test_a_certificate_of_ours_that_is_trusted_is_no_reason(authority: Authority, server: Pair) -> None:
    ours = authority.sign("ours", "DNS:worker.invalid")
    with listening(server, clients=authority.certificate) as port:
        settings = replace(with_tls(authority, port), tls_certificate=ours.certificate, tls_key=ours.key)
        assert why_unreachable(settings) is None


def test_tls_towards_who_does_not_speak_it_points_to_the_protocol(authority: Authority) -> None:
    with listening(None) as port:
        assert "EBBTIDE_SECURITY_PROTOCOL" in told(with_tls(authority, port))


def test_without_tls_towards_who_speaks_it_points_to_the_protocol(server: Pair) -> None:
    with listening(server) as port:
        said = told(Settings(brokers=f"127.0.0.1:{port}"))
    assert "speaks TLS, and we do not. Set EBBTIDE_SECURITY_PROTOCOL" in said


# Answers of Kafka to a SASL handshake: length, correlation id, error code, mechanisms.
WANTS_A_USER = struct.pack(">iihih13s", 25, 1, 33, 1, 13, b"SCRAM-SHA-512")
WANTS_NONE = struct.pack(">iihi", 10, 1, 34, 0)


def test_a_listener_that_asks_for_a_user_says_which_protocols_send_one() -> None:
    with listening(None, answer=WANTS_A_USER) as port:
        said = told(Settings(brokers=f"127.0.0.1:{port}"))
    assert "asks for a user and a password, and we send none" in said
    assert "sasl_ssl or sasl_plaintext" in said


def test_a_listener_that_asks_for_no_user_says_which_protocols_send_none() -> None:
    with listening(None, answer=WANTS_NONE) as port:
        settings = Settings(
            brokers=f"127.0.0.1:{port}", security_protocol="sasl_plaintext", sasl_username="u", sasl_password="p"
        )
        assert "asks for no user and no password, and we send them" in told(settings)


def test_hanging_up_during_the_handshake_may_be_an_outage(authority: Authority) -> None:
    with listening(None) as port:
        found = why_unreachable(with_tls(authority, port))
    assert isinstance(found, BrokerError)
    assert not isinstance(found, AccessError)


def test_nobody_there_is_an_outage_and_no_refusal(authority: Authority) -> None:
    assert why_unreachable(with_tls(authority, free_port())) is None


def test_the_first_broker_that_shows_a_reason_is_told(server: Pair) -> None:
    with listening(server) as port:
        assert f"127.0.0.1:{port}" in told(Settings(brokers=f"127.0.0.1:{free_port()},127.0.0.1:{port}"))
