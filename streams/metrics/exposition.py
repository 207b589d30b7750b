"""The worker's small HTTP server: ``/metrics``, ``/healthz`` (alive) and ``/readyz`` (ready for traffic).

It runs in a thread of its own, so that it answers, and can say so, when the event loop hangs. Where a token is set, it
asks for it before it shows the metrics, or the reason behind a bad ``/healthz`` or ``/readyz``. Their bare status is
open, as Kubernetes' probes can send no secret. Beyond loopback it does not start without a token.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import socket
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streams.core.errors import EbbtideError, SettingsError

log = logging.getLogger(__name__)

Check = Callable[[], str | None]
"""Gives None where all is well, else the reason in one line. Called from another thread: it only looks."""

PLAIN: Final = "text/plain; charset=utf-8"
LEAST_TOKEN: Final = 16
"""Characters of a token: a shorter one may be guessed."""


class Exposition:
    """Serves a registry and two checks until it is closed.

    Parameters
    ----------
    registry
        What ``/metrics`` shows.
    alive
        Behind ``/healthz``: does the loop beat, does work progress?
    ready
        Behind ``/readyz``: are tables and model restored, does Kafka answer?
    host
        Loopback by default; another address shows it to the network.
    port
        0 takes any free one.
    token
        Bearer token to ask for; None asks for none, which is allowed on loopback alone.

    Raises
    ------
    SettingsError
        On start: the address is open to the network and there is no token, or the token is short.
    EbbtideError
        On start: the address cannot be had.

    Examples
    --------
    >>> with Exposition(CollectorRegistry(), lambda: None, lambda: "restoring") as served:
    ...     served.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        alive: Check,
        ready: Check,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        token: str | None = None,
    ) -> None:
        self._registry = registry
        self._checks = {"/healthz": alive, "/readyz": ready}
        self._host = host
        self._wanted = port
        self._token = None if token is None else token.encode()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("the exposition was not started")
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """What stands before the paths."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self.port}"

    def start(self) -> None:
        """Listen, and serve from a thread."""
        if self._token is None and not is_loopback(self._host):
            raise SettingsError(
                f"http_host = {self._host} shows the metrics to the network, and no token is set.",
                "Set EBBTIDE_HTTP_TOKEN_FILE to a file with a token (openssl rand -hex 32), or EBBTIDE_HTTP_HOST to "
                "127.0.0.1.",
            )
        if self._token is not None and len(self._token) < LEAST_TOKEN:
            raise SettingsError(
                f"The token of /metrics has fewer than {LEAST_TOKEN} characters.", "Make one: openssl rand -hex 32."
            )
        try:
            self._server = _Server(self._host, self._wanted, self._answer)
        except OSError as error:
            raise EbbtideError(
                f"Metrics cannot be served at {self._host}:{self._wanted}: {error.strerror or error}.",
                "Choose another EBBTIDE_HTTP_PORT (0 takes any free one) or EBBTIDE_HTTP_HOST.",
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="exposition", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port. Does nothing where it does not run."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answer(self, path: str, accept: str, authorization: str) -> tuple[HTTPStatus, str, bytes]:
        trusted = self._trusts(authorization)
        if path == "/metrics":
            if not trusted:
                return HTTPStatus.UNAUTHORIZED, PLAIN, b"send the token: Authorization: Bearer ...\n"
            encode, content_type = choose_encoder(accept)
            return HTTPStatus.OK, content_type, encode(self._registry)
        check = self._checks.get(path)
        if check is None:
            return HTTPStatus.NOT_FOUND, PLAIN, b"there are /metrics, /healthz and /readyz\n"
        reason = check()
        status = HTTPStatus.OK if reason is None else HTTPStatus.SERVICE_UNAVAILABLE
        shown = "ok" if reason is None else reason if trusted else "not ok"
        return status, PLAIN, f"{shown}\n".encode()

    def _trusts(self, authorization: str) -> bool:
        if self._token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        # In constant time: how long the answer takes must not tell how much of a guess is right.
        return hmac.compare_digest(given.strip().encode(), self._token) and scheme.lower() == "bearer"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Answer = Callable[[str, str, str], tuple[HTTPStatus, str, bytes]]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, answer: Answer) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.answer = answer
        super().__init__((host, port), _Request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if isinstance(sys.exception(), ConnectionError):
            log.debug("a client hung up before its answer: it lost patience with a frozen or busy process")
        else:
            log.exception("a request to /metrics, /healthz or /readyz failed")


class _Request(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 10  # a client that says nothing does not keep its thread

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        status, content_type, body = self.server.answer(
            path, self.headers.get("Accept", ""), self.headers.get("Authorization", "")
        )
        self.send_response(status)
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, template: str, *args: Any) -> None:
        """Every scrape in the log would drown the rest."""

    def version_string(self) -> str:
        return "ebbtide"
