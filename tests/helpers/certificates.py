"""Certificates for tests of TLS: an authority, and what it issues for this machine."""

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A key and its certificate, PEM."""

    key: bytes
    certificate: bytes

    def encrypted(self, password: bytes) -> bytes:
        key = serialization.load_pem_private_key(self.key, None)
        return _key_pem(key, serialization.BestAvailableEncryption(password))


class Authority:
    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._build(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str) -> Pair:
        """Returns a pair for 127.0.0.1 and localhost."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        where = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = self._build(subject, key, x509.SubjectAlternativeName(where))
        return Pair(_key_pem(key, serialization.NoEncryption()), certificate.public_bytes(serialization.Encoding.PEM))

    def _build(self, subject, key, extension):
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - _DAY).not_valid_after(now + 30 * _DAY)
        return builder.add_extension(extension, critical=False).sign(self._key, hashes.SHA256())


def _key_pem(key, encryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
