"""An authority of our own and what it signs, made with openssl for one test run."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

EXTENSIONS = """\
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[signed]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, each in a file, and both in one (as Kafka wants its key store)."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs certificates that nobody else trusts."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        extensions = self._extensions("DNS:none.invalid")
        _openssl(
            *("req", "-x509", *_NEW_KEY, "-keyout", self._key, "-out", self.certificate),
            *("-days", "2", "-subj", f"/CN={name}", "-config", extensions, "-extensions", "authority"),
        )

    def sign(self, name: str, names: str = "IP:127.0.0.1", *, days: int = 2) -> Pair:
        """A certificate for ``names``, valid for so many days from now on."""
        certificate, key, request = (self._folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        extensions = self._extensions(names)
        _openssl("req", *_NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}", "-config", extensions)
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial"),
            *("-days", days, "-extfile", extensions, "-extensions", "signed", "-out", certificate),
        )
        both = self._folder / f"{name}-both.pem"
        both.write_text(key.read_text() + certificate.read_text() + self.certificate.read_text())
        return Pair(certificate, key, both)

    def _extensions(self, names: str) -> Path:
        path = self._folder / "extensions.cnf"
        path.write_text("[req]\ndistinguished_name = subject\n[subject]\n" + EXTENSIONS.format(names=names))
        return path


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(*arguments: object) -> None:
    command = ["openssl", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert run.returncode == 0, f"{' '.join(command)}: {run.stderr}"
