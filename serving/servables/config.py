"""The configuration of the served models: reads and checks TensorFlow Serving's `ModelServerConfig`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.errors import Code, OptionsError, ServingError, invalid

_LABEL = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_VERSION = re.compile(r"[0-9]{1,19}", re.ASCII)
_MAX_INT64 = 2**63 - 1


V = TypeVar("V")
URL_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss")


@dataclass(frozen=True)
class Policy:
    """Which of the versions on disk are served.

    Attributes:
      latest: the highest so many; 0 for none by this rule.
      every: all of them.
      specific: these numbers.
    """

    latest: int = 1
    every: bool = False
    specific: frozenset[int] = frozenset()

    def choose(self, folders: Mapping[int, V]) -> dict[int, V]:
        """Returns the versions to serve, of those that there are."""
        if self.every:
            return dict(folders)
        if self.specific:
            return {number: folders[number] for number in self.specific if number in folders}
        return {number: folders[number] for number in sorted(folders)[-self.latest :]}


@dataclass(frozen=True)
class ModelConfig:
    """One model of the server's list.

    Attributes:
      base_path: absolute folder of the numbered versions, or the URL of one in an object store.
      labels: versions by label.
    """

    name: str
    base_path: str
    policy: Policy = Policy()
    labels: Mapping[str, int] = field(default_factory=dict)


def find_versions(base_path: Path) -> dict[int, Path] | None:
    """Returns the entries whose names are whole numbers, or None where there is no such folder."""
    try:
        entries = list(base_path.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return None
    numbered = {version_number(entry.name): entry for entry in sorted(entries)}
    return {number: entry for number, entry in numbered.items() if number is not None}


def version_number(name: str) -> int | None:
    """Returns the number of a version's folder, or None where it is no version's."""
    number = int(name) if _VERSION.fullmatch(name) else _MAX_INT64 + 1
    return number if number <= _MAX_INT64 else None


def is_url(base_path: str) -> bool:
    """Tells whether a base path lies in an object store."""
    return "://" in base_path


def shown(base_path: str) -> str:
    """Returns a base path for messages: of a URL without its query."""
    return base_path.partition("?")[0] if is_url(base_path) else base_path


def check_base_path(base_path: str) -> None:
    """Refuses what can be no base path.

    Raises:
      ValueError: says why.
    """
    if not is_url(base_path):
        if not base_path.startswith("/"):
            raise ValueError("expected an absolute path on this machine, or the URL of a folder in an object store")
        return
    parts = urlsplit(base_path)
    if parts.scheme not in URL_SCHEMES or not parts.netloc:
        raise ValueError(f"expected the URL of a folder in an object store, one of {', '.join(URL_SCHEMES)}")
    if parts.password is not None:
        raise ValueError("a URL with a password in it; credentials belong into the environment")


def read_file(path: Path) -> list[ModelConfig]:
    """Reads a `ModelServerConfig` in text form.

    Raises:
      OptionsError: the file cannot be read, is no such message, or breaks one of its rules.
    """
    try:
        message = text_format.Parse(path.read_text(encoding="utf-8"), model_server_config_pb2.ModelServerConfig())
        return from_message(message)
    except text_format.ParseError as error:  # In the words of TensorFlow Serving, whose launchers look for them.
        what = "Error parsing text-format tensorflow.serving.ModelServerConfig"
        raise OptionsError(f"--model-config-file {path}: {what}: {error}") from error
    except (OSError, UnicodeDecodeError, ServingError) as error:
        raise OptionsError(f"--model-config-file {path}: {error}") from error


def from_message(message: Any) -> list[ModelConfig]:  # Any: the generated messages are untyped.
    """Checks a `ModelServerConfig`.

    Raises:
      ServingError: INVALID_ARGUMENT, says which model and which field.
    """
    if message.WhichOneof("config") != "model_config_list":
        raise invalid("Expected a model_config_list with at least one config")
    configs = [_from_config(config) for config in message.model_config_list.config]
    names = [config.name for config in configs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise invalid(f"Illegal to list model {twice} multiple times in config list")
    return configs


def _from_config(config: Any) -> ModelConfig:
    if not config.name:
        raise invalid("A model config has no name")
    if config.model_platform not in ("", "tensorflow"):
        raise invalid(f"Model {config.name}: model_platform must be 'tensorflow'. Received: {config.model_platform!r}")
    if config.HasField("logging_config"):
        raise ServingError(
            Code.UNIMPLEMENTED, f"Model {config.name}: logging_config is not supported. Use --log-dir of the server."
        )
    try:
        check_base_path(config.base_path)
    except ValueError as error:
        received = f"{urlsplit(config.base_path).scheme}://..." if is_url(config.base_path) else config.base_path
        raise invalid(f"Model {config.name}: base_path: {error}. Received: {received!r}") from error
    labels = dict(config.version_labels)
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise invalid(f"Model {config.name}: a label has the form [A-Za-z0-9_]+. Received: {label!r}")
    return ModelConfig(config.name, config.base_path, _policy(config), labels)


def _policy(config: Any) -> Policy:
    policy = config.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return Policy(every=True)
    if choice == "specific":
        if not policy.specific.versions:
            raise invalid(f"Model {config.name}: the policy specific needs at least one of versions")
        return Policy(specific=frozenset(policy.specific.versions))
    return Policy(latest=max(1, policy.latest.num_versions) if choice == "latest" else 1)


def names(configs: Iterable[ModelConfig]) -> str:
    """Returns the models' names as messages list them."""
    return ", ".join(config.name for config in configs) or "no model"
