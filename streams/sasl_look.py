"""Kafka's answers to who we say we are, asked directly: a few frames of its protocol, SASL/PLAIN and SCRAM (RFC 5802).

Only to tell *why* nobody gets through. kafka-python 3.0.12 drops the broker's answer to a wrong password, as the broker
hangs up behind it, and so would go on trying.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import socket
import struct
from typing import Final, NamedTuple

UNSUPPORTED_MECHANISM: Final = 33
WRONG_STATE: Final = 34
"""The listener asks for no user."""
AUTHENTICATION_FAILED: Final = 58

_HANDSHAKE: Final = 17
_AUTHENTICATE: Final = 36
_MOST_BYTES: Final = 65_536


class Handshake(NamedTuple):
    """What a listener says when we want to begin with SASL."""

    error: int
    mechanisms: tuple[str, ...]
    """Those that it has enabled."""


def handshake(connection: socket.socket, mechanism: str) -> Handshake | None:
    """Ask to begin with a mechanism; None where no answer in Kafka's protocol comes.

    Raises
    ------
    OSError
        The connection does not last.
    """
    wanted = mechanism.encode()
    answer = _ask(connection, _HANDSHAKE, 1, struct.pack(f">h{len(wanted)}s", len(wanted), wanted))
    if len(answer) < 6:
        return None
    error, count = struct.unpack_from(">hi", answer)
    mechanisms, place = [], 6
    for _ in range(min(count, 20)):
        length = struct.unpack_from(">h", answer, place)[0]
        mechanisms.append(answer[place + 2 : place + 2 + length].decode("ascii", "replace"))
        place += 2 + length
    return Handshake(error, tuple(mechanisms))


def is_refused(connection: socket.socket, mechanism: str, user: str, password: str) -> bool:
    """Whether the listener does not accept the user, after a handshake that it agreed to.

    Raises
    ------
    OSError
        The connection does not last.
    """
    if mechanism == "PLAIN":
        return _authenticate(connection, f"\0{user}\0{password}".encode())[0] == AUTHENTICATION_FAILED
    scram = _Scram(mechanism, user, password)
    error, first = _authenticate(connection, scram.first())
    if not error and first:
        error, _ = _authenticate(connection, scram.final(first.decode("utf-8", "replace")))
    return error == AUTHENTICATION_FAILED


class _Scram:
    """The client's two messages."""

    def __init__(self, mechanism: str, user: str, password: str) -> None:
        self._hash = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}[mechanism]
        self._password = password.encode()
        name = user.replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={secrets.token_hex(16)}"

    def first(self) -> bytes:
        return f"n,,{self._bare}".encode()

    def final(self, server_first: str) -> bytes:
        given = dict(part.split("=", 1) for part in server_first.split(",") if "=" in part)
        salted = hashlib.pbkdf2_hmac(self._hash, self._password, base64.b64decode(given["s"]), int(given["i"]))
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        stored_key = hashlib.new(self._hash, client_key).digest()
        without_proof = f"c=biws,r={given['r']}"
        signature = hmac.digest(stored_key, f"{self._bare},{server_first},{without_proof}".encode(), self._hash)
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()


def _authenticate(connection: socket.socket, token: bytes) -> tuple[int, bytes]:
    answer = _ask(connection, _AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
    if len(answer) < 4:
        return 0, b""
    error, message_length = struct.unpack_from(">hh", answer)
    return error, answer[4 + max(message_length, 0) + 4 :]


def _ask(connection: socket.socket, key: int, version: int, body: bytes) -> bytes:
    """One request without a client id; the answer behind its correlation id, empty where there is none."""
    request = struct.pack(">hhih", key, version, 1, -1) + body
    connection.sendall(struct.pack(">i", len(request)) + request)
    head = _read(connection, 4)
    length = struct.unpack(">i", head)[0] if len(head) == 4 else 0
    return _read(connection, length)[4:] if 4 <= length <= _MOST_BYTES else b""


def _read(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count and (more := connection.recv(count - len(found))):
        found += more
    return found
