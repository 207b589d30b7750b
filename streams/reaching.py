"""Why no client gets through to Kafka, where a look at the connection tells: TLS, and what the other side speaks.

The client libraries repeat a failed handshake until their time is over and then say that nobody answered.
"""

from __future__ import annotations

import socket
import ssl
from typing import Final

from streams.core.errors import AccessError
from streams.kafka_access import broker_list, tls_context, uses_tls
from streams.settings import Settings

LOOK_WITHIN_S: Final = 3.0
_CERTIFICATE_WANTED: Final = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "HANDSHAKE_FAILURE", "UNKNOWN_CA")
"""Alerts by which a server refuses the certificate that we showed, or that we showed none."""


def why_unreachable(settings: Settings, *, within_s: float = LOOK_WITHIN_S) -> AccessError | None:
    """What stands between us and the brokers besides an outage; None where a look at the connection shows nothing.

    Parameters
    ----------
    settings
        Brokers and how to speak to them.
    within_s
        Longest look at each broker, seconds.

    Examples
    --------
    >>> why_unreachable(Settings(brokers="127.0.0.1:1")) is None  # nobody listens: an outage
    True
    """
    for broker in broker_list(settings):
        host, _, port = broker.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=within_s) as connection:
                found = _look(connection, host.strip("[]"), broker, settings)
        except OSError:  # nobody listens, or does not answer in time
            continue
        if found is not None:
            return found
    return None


def _look(connection: socket.socket, host: str, broker: str, settings: Settings) -> AccessError | None:
    if not uses_tls(settings):
        return _speaks_tls(connection, broker)
    try:
        with tls_context(settings).wrap_socket(connection, server_hostname=host) as secured:
            return _refused_afterwards(secured, broker, settings)
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message.rstrip(".")
        if error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
            hint = (
                "Name the broker in EBBTIDE_BROKERS as its certificate does, or give it a certificate with this name."
            )
        elif error.verify_code == 10:  # X509_V_ERR_CERT_HAS_EXPIRED
            hint = "Renew the broker's certificate."
        else:
            hint = "Name the authority that signed it with EBBTIDE_TLS_CA."
        return AccessError(f"The certificate of the Kafka broker {broker} is not trusted: {why}.", hint)
    except ssl.SSLError as error:
        return _handshake_failed(error, broker, settings)
    except ConnectionResetError:
        return AccessError(f"The Kafka broker {broker} ended the TLS handshake.", _OTHER_PROTOCOL)


def _refused_afterwards(secured: ssl.SSLSocket, broker: str, settings: Settings) -> AccessError | None:
    """With TLS 1.3 the server judges our certificate after the handshake; it says nothing where all is well."""
    secured.settimeout(0.5)
    try:
        secured.recv(1)
    except TimeoutError:
        return None
    except ssl.SSLError as error:
        return _handshake_failed(error, broker, settings)
    return None


def _handshake_failed(error: ssl.SSLError, broker: str, settings: Settings) -> AccessError:
    reason = error.reason or "no reason given"
    if any(alert in reason for alert in _CERTIFICATE_WANTED):
        shown = "no certificate" if settings.tls_certificate is None else f"the certificate {settings.tls_certificate}"
        return AccessError(
            f"The Kafka broker {broker} refused us with {shown} ({reason}).",
            "Set EBBTIDE_TLS_CERTIFICATE and EBBTIDE_TLS_KEY to a pair that it trusts.",
        )
    return AccessError(f"The Kafka broker {broker} and we find no common TLS ({reason}).", _OTHER_PROTOCOL)


_OTHER_PROTOCOL: Final = "Look at EBBTIDE_SECURITY_PROTOCOL: is this the broker's listener with TLS?"


def _speaks_tls(connection: socket.socket, broker: str) -> AccessError | None:
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    probe.check_hostname = False  # nothing is sent over it: only whether it is TLS that is spoken here
    probe.verify_mode = ssl.CERT_NONE
    try:
        with probe.wrap_socket(connection):
            pass
    except OSError:
        return None
    return AccessError(
        f"The Kafka broker {broker} speaks TLS, and we do not.", "Set EBBTIDE_SECURITY_PROTOCOL to ssl or sasl_ssl."
    )
