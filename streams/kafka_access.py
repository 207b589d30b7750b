"""How Kafka is reached: addresses, TLS and SASL, in the words that both client libraries share; and why it says no.

Pure but for reading the files that the settings name. The clients are made in :mod:`streams.live.connections`,
:mod:`streams.replay.connections` and :mod:`streams.provisioning`, from :func:`connection_options`.
"""

from __future__ import annotations

import re
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from streams.core.errors import AccessError, SettingsError
from streams.secret_files import secret
from streams.settings import Settings

_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]+")
_DENIED: Final = (
    "TopicAuthorizationFailedError",
    "GroupAuthorizationFailedError",
    "ClusterAuthorizationFailedError",
    "TransactionalIdAuthorizationFailedError",
    "TransactionalIdAuthorizationFailed",
)
_NOT_WHO_WE_SAY: Final = ("SaslAuthenticationFailedError", "SaslAuthenticationFailed", "AuthenticationFailedError")
_OTHER_MECHANISM: Final = ("UnsupportedSaslMechanismError", "AuthenticationMethodNotSupported", "IllegalSaslStateError")
"""Classes of aiokafka and kafka-python by name: this module imports neither."""


def broker_list(settings: Settings) -> list[str]:
    """``host:port`` of every broker to start from.

    >>> broker_list(Settings(brokers="a:1, b:2"))
    ['a:1', 'b:2']
    """
    return [broker.strip() for broker in settings.brokers.split(",")]


def connection_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments for any client of kafka-python or aiokafka.

    Certificates are always verified, host names too; there is no setting to turn that off.

    Raises
    ------
    SettingsError
        The security settings do not hold together, or a file that they name cannot be used.

    Examples
    --------
    >>> connection_options(Settings(brokers="a:1"))
    {'bootstrap_servers': ['a:1'], 'security_protocol': 'PLAINTEXT'}
    """
    protocol = settings.security_protocol
    _refuse_what_would_not_be_used(settings)
    options: dict[str, Any] = {"bootstrap_servers": broker_list(settings), "security_protocol": protocol.upper()}
    if uses_tls(settings):
        options["ssl_context"] = tls_context(settings)
    if uses_sasl(settings):
        password = secret(settings, "sasl_password")
        if not settings.sasl_username or password is None:
            raise SettingsError(
                f"security_protocol = {protocol} needs a name and a password.",
                "Set EBBTIDE_SASL_USERNAME and EBBTIDE_SASL_PASSWORD_FILE (or EBBTIDE_SASL_PASSWORD).",
            )
        options["sasl_mechanism"] = settings.sasl_mechanism.upper()
        options["sasl_plain_username"] = settings.sasl_username
        options["sasl_plain_password"] = password
    return options


def uses_tls(settings: Settings) -> bool:
    """Whether connections are encrypted."""
    return settings.security_protocol in ("ssl", "sasl_ssl")


def uses_sasl(settings: Settings) -> bool:
    """Whether we name ourselves by a user and a password."""
    return settings.security_protocol in ("sasl_plaintext", "sasl_ssl")


def tls_context(settings: Settings) -> ssl.SSLContext:
    """TLS 1.2 or newer; trusts ``tls_ca`` alone where it is set, else the system's authorities.

    Raises
    ------
    SettingsError
        A file cannot be read or is not what its setting asks for.
    """
    return _tls_context(settings.tls_ca, settings.tls_certificate, settings.tls_key)


@lru_cache(maxsize=8)
def _tls_context(authority: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise _unusable("tls_ca", authority, "the certificates (PEM) of the authorities to trust", error) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password=_no_passphrase)
        except (OSError, ssl.SSLError) as error:
            wanted = "our certificate (PEM), whose key (PEM, without a passphrase) EBBTIDE_TLS_KEY names"
            raise _unusable("tls_certificate", certificate, wanted, error) from error
    return context


def _no_passphrase() -> str:
    """OpenSSL would ask for it on the terminal."""
    return ""


def _unusable(name: str, path: Path | None, wanted: str, error: OSError) -> SettingsError:
    why = getattr(error, "reason", None) or error.strerror or type(error).__name__
    return SettingsError(f"{name} = {path} cannot be used: {why}.", f"It must hold {wanted}.")


def _refuse_what_would_not_be_used(settings: Settings) -> None:
    """A secret or a certificate that is set and would silently not be used is a connection less safe than believed."""
    given = {
        "tls_ca": settings.tls_ca,
        "tls_certificate": settings.tls_certificate,
        "tls_key": settings.tls_key,
        "sasl_username": settings.sasl_username,
        "sasl_password": settings.sasl_password,
        "sasl_password_file": settings.sasl_password_file,
    }
    unused = [
        name
        for name, value in given.items()
        if value and not (uses_tls(settings) if name.startswith("tls_") else uses_sasl(settings))
    ]
    if unused:
        raise SettingsError(
            f"{', '.join(unused)} would not be used with security_protocol = {settings.security_protocol}.",
            "Set EBBTIDE_SECURITY_PROTOCOL to ssl (TLS), sasl_ssl (TLS and a user) or sasl_plaintext, or unset them.",
        )
    if settings.tls_key is not None and settings.tls_certificate is None:
        raise SettingsError("tls_key is set without tls_certificate.", "Set EBBTIDE_TLS_CERTIFICATE too.")


def refusal(error: BaseException, settings: Settings, operation: str, resource: str) -> AccessError | None:
    """What to tell where a client's error, or one that it was raised from, means that Kafka does not let us.

    Parameters
    ----------
    error
        Of aiokafka or kafka-python.
    operation, resource
        What we were about to do, in Kafka's words: ``Read``, ``topic churn-risk``.

    Returns
    -------
    AccessError | None
        None where it is another trouble: an outage, a missing topic.
    """
    seen: BaseException | None = error
    while seen is not None:
        name = type(seen).__name__
        if name in _DENIED:
            return denied(settings, operation, _denied_resource(seen, settings) or resource)
        if name in _NOT_WHO_WE_SAY:
            return not_accepted(settings)
        if name in _OTHER_MECHANISM:
            return AccessError(
                f"Kafka at {settings.brokers} offers no {settings.sasl_mechanism}.",
                "Set EBBTIDE_SASL_MECHANISM to one that its listener has enabled, and EBBTIDE_SECURITY_PROTOCOL to the "
                "listener's.",
            )
        seen = seen.__cause__ or seen.__context__
    return None


def _denied_resource(error: BaseException, settings: Settings) -> str | None:
    """What the broker named."""
    if type(error).__name__ == "GroupAuthorizationFailedError":
        return f"group {settings.group_id}"
    named = error.args[0] if error.args else None
    if isinstance(named, set | frozenset | list | tuple) and named:
        named = sorted(map(str, named))[0]
    is_topic = type(error).__name__ == "TopicAuthorizationFailedError" and isinstance(named, str)
    return f"topic {named}" if is_topic and _TOPIC.fullmatch(str(named)) else None


def not_accepted(settings: Settings) -> AccessError:
    """A wrong password, or a user that the broker does not know; it never says which."""
    return AccessError(
        f"Kafka at {settings.brokers} does not accept the user {settings.sasl_username!r} with the password given "
        f"({settings.sasl_mechanism}).",
        "Check EBBTIDE_SASL_USERNAME, EBBTIDE_SASL_PASSWORD_FILE and EBBTIDE_SASL_MECHANISM, and that the broker knows "
        "the user.",
    )


def denied(settings: Settings, operation: str, resource: str) -> AccessError:
    """No access-control entry lets us do it."""
    kind, _, name = resource.partition(" ")
    option = f"--{kind} {name}".rstrip()
    return AccessError(
        f"Kafka at {settings.brokers} does not let {principal(settings)} do this: {operation} on {resource}.",
        f"Allow it: kafka-acls --add --allow-principal '{principal(settings)}' --operation {operation} {option} "
        "(SECURITY.md lists what each program needs).",
    )


def principal(settings: Settings) -> str:
    """As whom Kafka knows us, as far as we can tell.

    >>> principal(Settings(security_protocol="sasl_ssl", sasl_username="worker"))
    'User:worker'
    """
    if uses_sasl(settings):
        return f"User:{settings.sasl_username}"
    return "User:ANONYMOUS" if settings.tls_certificate is None else "User:(subject of tls_certificate)"
