"""Bearer tokens: who may ask, where the operator has given some.

Source: RFC 6750, sections 2.1 and 3.
"""

import hashlib
import hmac
import re
from pathlib import Path

from serving.errors import Code, ServingError
from serving.followed import Followed

MIN_LENGTH = 16
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_SCHEME = "bearer "


class Tokens:
    """The tokens that open the server to a client; several at once, so that one can replace another."""

    def __init__(self, followed: Followed[frozenset[bytes]]) -> None:
        self._followed = followed

    def check(self, authorization: str) -> None:
        """Returns where the client may ask.

        The time that it takes says nothing of the tokens: digests are compared, all of them, each in constant time.

        Args:
          authorization: the header's, or the metadata's, value; "" where there is none.

        Raises:
          ServingError: UNAUTHENTICATED.
        """
        scheme, token = authorization[: len(_SCHEME)], authorization[len(_SCHEME) :].strip()
        digest = hashlib.sha256(token.encode("utf-8", errors="replace")).digest()
        same = [hmac.compare_digest(digest, known) for known in self._followed.current()]
        if not (any(same) and scheme.lower() == _SCHEME):
            raise ServingError(Code.UNAUTHENTICATED, "Expected a bearer token that this server knows")


def from_file(file: Path) -> Tokens:
    """Returns the tokens of a file, one a line; it is read again when it changes.

    Raises:
      OptionsError: the file cannot be read, or holds something else.
    """
    return Tokens(Followed("--auth-token-file", [file], lambda: _digests(file.read_text(encoding="utf-8"), str(file))))


def from_environment(variable: str, value: str) -> Tokens:
    """Returns the tokens of an environment variable, one a line.

    Raises:
      OptionsError: it holds something else.
    """
    return Tokens(Followed("--auth-token-env", [], lambda: _digests(value, f"the variable {variable}")))


def _digests(text: str, where: str) -> frozenset[bytes]:
    tokens = [line.strip() for line in text.splitlines() if line.strip()]
    if not tokens:
        raise ValueError(f"{where} holds no token")
    for number, token in enumerate(tokens, 1):  # The token itself is kept out of messages.
        if len(token) < MIN_LENGTH or not _TOKEN.fullmatch(token):
            raise ValueError(
                f"token {number} of {where} is none: expected at least {MIN_LENGTH} characters of A-Z, a-z, 0-9, "
                "'-', '.', '_', '~', '+', '/'"
            )
    return frozenset(hashlib.sha256(token.encode()).digest() for token in tokens)
