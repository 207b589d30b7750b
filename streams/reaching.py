"""Why no client gets through to Kafka, where a look at the connection tells: TLS, protocol, user, password.

The client libraries repeat what failed until their time is over, and then say that nobody answered.
"""

from __future__ import annotations

import socket
import ssl
from typing import Final

from streams.core.errors import AccessError, BrokerError
from streams.kafka_access import broker_list, not_accepted, tls_context, uses_sasl, uses_tls
from streams.sasl_look import UNSUPPORTED_MECHANISM, WRONG_STATE, handshake, is_refused
from streams.secret_files import secret
from streams.settings import Settings

LOOK_WITHIN_S: Final = 3.0
_VERDICT_WITHIN_S: Final = 0.5
_CERTIFICATE_WANTED: Final = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "HANDSHAKE_FAILURE", "UNKNOWN_CA")
"""Alerts by which a server refuses the certificate that we showed, or that we showed none."""


def why_unreachable(settings: Settings, *, within_s: float = LOOK_WITHIN_S) -> BrokerError | None:
    """What stands between us and the brokers besides an outage; None where a look at the connection shows nothing.

    An :class:`AccessError` where waiting does not help; another ``BrokerError`` where it may be an outage after all.

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


def _look(connection: socket.socket, host: str, broker: str, settings: Settings) -> BrokerError | None:
    if not uses_tls(settings):
        return _judge_user(connection, broker, settings) or _speaks_tls(broker, host)
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
    except (ConnectionResetError, BrokenPipeError):
        return _hung_up(broker)


def _refused_afterwards(secured: ssl.SSLSocket, broker: str, settings: Settings) -> BrokerError | None:
    """With TLS 1.3 the server judges our certificate after the handshake; it says nothing where all is well."""
    within_s = secured.gettimeout()
    secured.settimeout(_VERDICT_WITHIN_S)
    try:
        secured.recv(1)
    except TimeoutError:
        secured.settimeout(within_s)
        return _judge_user(secured, broker, settings)
    except ssl.SSLError as error:
        return _handshake_failed(error, broker, settings)
    return None


def _handshake_failed(error: ssl.SSLError, broker: str, settings: Settings) -> BrokerError:
    reason = error.reason or str(error)
    if any(alert in reason for alert in _CERTIFICATE_WANTED):
        shown = "no certificate" if settings.tls_certificate is None else f"the certificate {settings.tls_certificate}"
        return AccessError(
            f"The Kafka broker {broker} refused us with {shown} ({reason}).",
            "Set EBBTIDE_TLS_CERTIFICATE and EBBTIDE_TLS_KEY to a pair that it trusts.",
        )
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or "EOF" in reason:
        return _hung_up(broker)
    return AccessError(f"The Kafka broker {broker} and we find no common TLS ({reason}).", _OTHER_PROTOCOL)


_OTHER_PROTOCOL: Final = "Look at EBBTIDE_SECURITY_PROTOCOL: is this the broker's listener with TLS?"


def _hung_up(broker: str) -> BrokerError:
    """A broker without TLS does so, and so may a proxy before a broker that is away."""
    return BrokerError(f"The Kafka broker {broker} hung up during the TLS handshake.", _OTHER_PROTOCOL)


def _judge_user(connection: socket.socket, broker: str, settings: Settings) -> AccessError | None:
    """Ask to begin with SASL: the answer tells whether the listener wants it, which mechanisms it knows, and whom."""
    ours = settings.sasl_mechanism.upper()
    try:
        answer = handshake(connection, ours)
        if answer is None:
            return None
        wants_user = answer.error != WRONG_STATE
        if wants_user != uses_sasl(settings):
            return _other_protocol(broker, wants_user=wants_user)
        if answer.error == UNSUPPORTED_MECHANISM:
            return AccessError(
                f"The Kafka broker {broker} offers {' and '.join(answer.mechanisms)}, not {ours}.",
                f"Set EBBTIDE_SASL_MECHANISM to {answer.mechanisms[0].lower()}." if answer.mechanisms else "",
            )
        password = secret(settings, "sasl_password") if wants_user else None
        if password is not None and is_refused(connection, ours, settings.sasl_username, password):
            return not_accepted(settings)
    except OSError:  # no answer, or hung up
        return None
    return None


def _other_protocol(broker: str, *, wants_user: bool) -> AccessError:
    if wants_user:
        found, protocol = "asks for a user and a password, and we send none", "sasl_ssl or sasl_plaintext"
    else:
        found, protocol = "asks for no user and no password, and we send them", "ssl or plaintext"
    return AccessError(f"The Kafka broker {broker} {found}.", f"Set EBBTIDE_SECURITY_PROTOCOL to {protocol}.")


def _speaks_tls(broker: str, host: str) -> AccessError | None:
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    probe.check_hostname = False  # nothing is sent over it: only whether it is TLS that is spoken here
    probe.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, int(broker.rpartition(":")[2])), timeout=LOOK_WITHIN_S) as connection,
            probe.wrap_socket(connection),
        ):
            pass
    except OSError:
        return None
    return AccessError(
        f"The Kafka broker {broker} speaks TLS, and we do not.", "Set EBBTIDE_SECURITY_PROTOCOL to ssl or sasl_ssl."
    )
