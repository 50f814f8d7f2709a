"""Who the server says it is over TLS, and which clients it takes: read from files, and again when they change.

Sources: tensorflow_serving/config/ssl_config.proto for `SSLConfig`, whose fields hold PEM text and no paths.
"""

import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from serving.followed import Followed


@dataclass(frozen=True)
class Identity:
    """What one end of TLS needs; PEM.

    Attributes:
      certificate: the server's, with the chain up to a root that clients know.
      client_ca: where given, a client must show a certificate that these issued.
    """

    key: bytes = field(repr=False)
    certificate: bytes
    client_ca: bytes | None = None

    def context(self) -> ssl.SSLContext:
        """Returns a context for HTTPS.

        Raises:
          ValueError: the certificate is none, or the key is another's.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["http/1.1"])
        # Python's ssl reads a key from a file alone; this one is the owner's and gone at once.
        descriptor, name = tempfile.mkstemp(prefix="tls-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self.key + b"\n" + self.certificate)
            context.load_cert_chain(name, password=_no_password)
        except ssl.SSLError as error:
            raise ValueError(f"the key and the certificate are no pair in PEM: {error}") from error
        finally:
            os.unlink(name)
        if self.client_ca is not None:
            try:
                context.load_verify_locations(cadata=self.client_ca.decode("ascii"))
            except (ssl.SSLError, ValueError) as error:
                raise ValueError(f"the clients' authorities are no certificates in PEM: {error}") from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _no_password() -> str:
    raise ValueError("the key is encrypted; expected one without a password")


Credentials = Followed[Identity]


def _same_demand(old: Identity, new: Identity) -> None:
    if (old.client_ca is None) != (new.client_ca is None):
        raise ValueError("whether clients need a certificate is settled when the server starts")


def _checked(identity: Identity) -> Identity:
    identity.context()
    return identity


def from_files(certificate: Path, key: Path, client_ca: Path | None) -> Credentials:
    """Returns what `--tls-certificate`, `--tls-key` and `--tls-client-ca` name.

    Raises:
      OptionsError: a file cannot be read, or is not what it should be.
    """
    files = (certificate, key, *([client_ca] if client_ca is not None else []))

    def read() -> Identity:
        authorities = client_ca.read_bytes() if client_ca is not None else None
        return _checked(Identity(key.read_bytes(), certificate.read_bytes(), authorities))

    return Followed("--tls-certificate", files, read, may_replace=_same_demand)


def from_ssl_config(file: Path) -> Credentials:
    """Returns what an `SSLConfig` in text form holds.

    Raises:
      OptionsError: the file cannot be read, or is not what it should be.
    """
    return Followed("--ssl-config-file", [file], lambda: _read_ssl_config(file), may_replace=_same_demand)


def _read_ssl_config(file: Path) -> Identity:
    from serving import text_message

    kinds = {"server_key": text_message.STRING, "server_cert": text_message.STRING,
             "custom_ca": text_message.STRING, "client_verify": text_message.BOOL}  # fmt: skip
    config = text_message.read(
        file, "SSLConfig", {name: (number, kind) for number, (name, kind) in enumerate(kinds.items(), 1)}
    )
    for name in ("server_key", "server_cert", *(["custom_ca"] if config.client_verify else [])):
        if not getattr(config, name):
            raise ValueError(f"{file} has no {name}")
    ca = config.custom_ca.encode() if config.client_verify else None
    return _checked(Identity(config.server_key.encode(), config.server_cert.encode(), ca))
