"""Who asks, and whom to trust: a bearer token and TLS, from files and the environment, never from the command line."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a client shows, and what it trusts.

    Attributes:
      token: for `Authorization: Bearer`; empty for none.
      tls: None for what the system trusts.
    """

    token: str = ""
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        """Says nothing of the token."""
        return f"Credentials(token={'...' if self.token else ''!r}, tls={self.tls!r})"


def read(
    *,
    token_file: Path | None,
    token_variable: str | None,
    authority: Path | None,
    certificate: Path | None,
    key: Path | None,
    environment: Mapping[str, str],
) -> Credentials:
    """Returns what these files and the environment hold.

    Args:
      token_file: its first line is the token, so that it may be the server's own file.
      token_variable: name of the environment's variable with the token.
      authority: PEM certificates that are trusted besides the system's.
      certificate, key: PEM, of the client; the key may be in the certificate's file.

    Raises:
      ConfigError: names the option, and never the token.
    """
    token = ""
    if token_file is not None:
        token = _token(
            (_text(token_file, "--auth-token-file").splitlines() or [""])[0], f"--auth-token-file {token_file}"
        )
    elif token_variable is not None:
        token = _token(environment.get(token_variable, ""), f"--auth-token-env {token_variable}")
    if key is not None and certificate is None:
        raise ConfigError("--tls-key: give its certificate too (--tls-certificate).")
    if authority is None and certificate is None:
        return Credentials(token=token)
    context = ssl.create_default_context()
    if authority is not None:
        _ = _text(authority, "--tls-ca")
        try:
            context.load_verify_locations(authority)
        except ssl.SSLError as error:
            raise ConfigError(f"--tls-ca: {authority} holds no certificate in PEM ({error.reason}).") from error
    if certificate is not None:
        for option, path in (("--tls-certificate", certificate), ("--tls-key", key)):
            _ = _text(path, option) if path is not None else ""
        try:
            context.load_cert_chain(certificate, key, password="")  # Empty, so that nobody is asked for one.
        except ssl.SSLError as error:
            what = f"{certificate} and {key or certificate} are no certificate with its key in PEM, without a password"
            raise ConfigError(f"--tls-certificate: {what} ({error.reason}).") from error
    return Credentials(token=token, tls=context)


def _token(text: str, where: str) -> str:
    token = text.strip()
    if not token:
        raise ConfigError(f"{where}: there is no token in it.")
    if not all("!" <= letter <= "~" for letter in token):
        raise ConfigError(f"{where}: a token is visible ASCII without blanks. This one is not.")
    return token


def _text(path: Path, option: str) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"{option}: {path}: {error.strerror}.") from error
