"""An Apache Kafka that asks who is there: SASL over TLS, TLS with certificates on both sides, and access control.

Its plain listener, on loopback, belongs to the super user: tests set up and look with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from deploy.kafka.run import ApacheKafka
from streams.access_list import Entry, Role, access_list
from streams.child_process import free_port
from streams.settings import Settings
from tests.support.certificates import Authority, Pair

OPERATIONS: Final = {"DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS}
PATTERNS: Final = {False: ACLResourcePatternType.LITERAL, True: ACLResourcePatternType.PREFIXED}


@dataclass(slots=True)
class SecuredKafka:
    """The broker, and who may do what on it."""

    plain: str
    """Listener of the super user."""
    sasl: str
    """Listener with TLS and SCRAM."""
    mutual: str
    """Listener with TLS that asks for a certificate."""
    authority: Authority
    folder: Path
    admin: Any = field(repr=False)

    def settings(self, **given: Any) -> Settings:
        """Of the super user."""
        return replace(Settings(brokers=self.plain, topic_prefix="shop.", group_id="shop", partitions=2), **given)

    def user(self, name: str, **given: Any) -> Settings:
        """Settings of a user whose password stands in a file; the user is made with it."""
        password = f"{name}-has-a-password"
        path = self.folder / f"{name}.password"
        path.write_text(f"{password}\n")
        refused = self.admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion(name, ScramMechanism.SCRAM_SHA_512, password=password.encode())]
        )
        assert not any(refused.values()), refused
        return self.settings(
            brokers=self.sasl,
            security_protocol="sasl_ssl",
            sasl_username=name,
            sasl_password_file=path,
            tls_ca=self.authority.certificate,
            **given,
        )

    def role(self, role: Role, **given: Any) -> Settings:
        """Settings of a user who may do exactly what the access list of a role says."""
        settings = self.user(role.value, **given)
        self.allow(role.value, access_list(role, settings))
        return settings

    def allow(self, user: str, entries: Iterable[Entry]) -> None:
        """Add entries."""
        result = self.admin.create_acls([_acl(user, entry) for entry in entries])
        assert not result["failed"], result

    def take_away(self, user: str, operation: str, kind: str, name: str) -> None:
        """Remove one entry, which must be there."""
        pattern = ResourcePatternFilter(ResourceType[kind.upper()], name, ACLResourcePatternType.LITERAL)
        removed = self.admin.delete_acls(
            [ACLFilter(f"User:{user}", "*", _operation(operation), ACLPermissionType.ALLOW, pattern)]
        )
        assert len(removed[0][1]) == 1, removed


def _operation(name: str) -> ACLOperation:
    return OPERATIONS.get(name) or ACLOperation[name.upper()]


def _acl(user: str, entry: Entry) -> ACL:
    pattern = ResourcePattern(ResourceType[entry.kind.upper()], entry.name, PATTERNS[entry.prefixed])
    return ACL(f"User:{user}", "*", _operation(entry.operation), ACLPermissionType.ALLOW, pattern)


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """Start one; it is gone afterwards."""
    authority = Authority(folder)
    server: Pair = authority.sign("kafka")
    plain, sasl, mutual = free_port(), free_port(), free_port()
    addresses = f"PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{mutual}"
    properties = {
        "listeners": f"{addresses},CONTROLLER://127.0.0.1:${{controller_port}}",
        "advertised.listeners": addresses,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:PLAINTEXT",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(server.both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.certificate),
        "listener.name.ssl.ssl.client.auth": "required",
        "listener.name.sasl_ssl.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # whoever comes by the plain listener, on loopback: these tests
        "allow.everyone.if.no.acl.found": "false",
    }
    with ApacheKafka(folder / "kafka", plain, heap="512m", properties=properties, brief=True) as kafka:
        admin = KafkaAdminClient(bootstrap_servers=kafka.brokers)
        try:
            yield SecuredKafka(kafka.brokers, f"127.0.0.1:{sasl}", f"127.0.0.1:{mutual}", authority, folder, admin)
        finally:
            admin.close()
