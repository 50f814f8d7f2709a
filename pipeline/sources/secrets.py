"""Secrets come from the environment when they are used, and no text that leaves this room holds one.

`env:NAME` is a whole value from the environment, `{env:NAME}` a part of one.
"""

import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.errors import ConfigError

_WHOLE = re.compile(r"env:([A-Za-z_]\w*)")
_PART = re.compile(r"\{env:([A-Za-z_]\w*)\}")
_WORDS = (
    r"(?:pass\w*|pwd|\w*token|\w*secret|(?:\w*api|\w*access|)[_-]?key|auth|(?:\w*-)?authorization|cookie|sig|signature)"
)
_SECRET_NAME = re.compile(_WORDS + r"|[\w-]*-(?:key|token|secret)", re.IGNORECASE)
_PASSWORD = re.compile(rf"://[^/@\s]*:[^/@\s]+@|(?<![\w-]){_WORDS}=[^&\s{{]", re.IGNORECASE)
_SECRET_VARIABLE = re.compile(r"PASS|PWD$|SECRET|TOKEN|KEY|CREDENTIAL|SIGNATURE|CONNECTION_STRING", re.IGNORECASE)
_SHORTEST_UNASKED = 8
_SHORTEST = 3
"""A shorter value is no secret, and to blot out each of its occurrences would spoil every message."""


def holds_password(text: str) -> bool:
    """Returns whether a text of dataset.toml, such as a URL, has a password written into it."""
    return _PASSWORD.search(text) is not None


def is_secret_name(name: str) -> bool:
    """Returns whether a header or a parameter of such a name usually holds a secret."""
    return _SECRET_NAME.fullmatch(name) is not None


def reads_environment(text: str) -> bool:
    """Returns whether a text takes its value, or a part of it, from the environment."""
    return _WHOLE.fullmatch(text) is not None or _PART.search(text) is not None


@dataclass
class Secrets:
    """The values taken from the environment so far, and what stands for them in every message.

    Attributes:
      environment: where values come from; a command passes the process's own.
    """

    environment: Mapping[str, str]
    _known: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # What drivers and clouds read by themselves, such as PGPASSWORD and AWS_SECRET_ACCESS_KEY.
        for name, value in self.environment.items():
            if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST_UNASKED:
                self._known[value] = f"env:{name}"

    def resolve(self, text: str, where: str) -> str:
        """Returns a text with its values from the environment.

        Raises:
          ConfigError: a variable is not set; names it.
        """
        if whole := _WHOLE.fullmatch(text):
            return self._value(whole[1], where)
        return _PART.sub(lambda part: self._value(part[1], where), text)

    def redact(self, text: str) -> str:
        """Returns a text with every secret in it replaced by where it comes from."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, self._known[secret])
        return text

    def _value(self, name: str, where: str) -> str:
        value = self.environment.get(name, "")
        if not value:
            raise ConfigError(f"{where}: the environment variable {name} is not set.")
        for secret in _spellings(value):
            if len(secret) >= _SHORTEST:
                self._known[secret] = f"env:{name}"
        return value


def _spellings(value: str) -> Iterator[str]:
    """Yields a value, what is secret inside it where it is a URL, and both as URLs and drivers may spell them."""
    found = [value]
    if "://" in value:
        try:
            parts = urllib.parse.urlsplit(value)
            found += [parts.password] if parts.password else []
            found += [item for name, item in urllib.parse.parse_qsl(parts.query) if is_secret_name(name)]
        except ValueError:  # No URL after all; the whole value is known as a secret.
            pass
    else:
        found += re.findall(r"password\s*=\s*'?([^'\s]+)", value)
    for text in found:
        for plain in (text, urllib.parse.unquote(text)):
            yield from (plain, urllib.parse.quote(plain, safe=""), urllib.parse.quote_plus(plain))
