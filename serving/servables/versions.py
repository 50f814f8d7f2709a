"""The life of one model's versions: loaded before the old ones go, kept while requests need them."""

import enum
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serving.errors import Code, ServingError
from serving.servables.loaded_model import LoadedModel

logger = logging.getLogger(__name__)


class State(enum.IntEnum):
    """States of a version, by the contract's names and the numbers of `GetModelStatusResponse`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass
class Version:
    """One version, as far as it has come.

    Attributes:
      code: of the failed load; OK where it did not fail.
      error: why the load failed; empty where it did not.
      attempts: failed loads in a row.
      retry_at: when a failed load is tried again, by the monotonic clock.
    """

    number: int
    folder: Path
    state: State = State.START
    code: Code = Code.OK
    error: str = ""
    attempts: int = 0
    retry_at: float = 0.0
    model: LoadedModel | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How often a failed load is tried again.

    Attributes:
      count: 5 in TensorFlow Serving.
      interval_s: seconds between two tries; 60 in TensorFlow Serving.
    """

    count: int = 5
    interval_s: float = 60.0


class VersionManager:
    """The versions of one model.

    `reconcile` is called by one thread at a time; everything else by any thread.
    """

    def __init__(self, name: str, load: Callable[[str, Path], LoadedModel], retries: Retries) -> None:
        """Makes a model without versions.

        Args:
          load: from the model's name and a version's folder to the model, warmed up.
        """
        self.name = name
        self._load = load
        self._retries = retries
        self._lock = threading.Lock()
        self._versions: dict[int, Version] = {}
        self._newest: Version | None = None  # The highest available one, for the path of nearly every request.
        self._stopped = False
        self._speaking = threading.Lock()

    def stop(self) -> None:
        """Says nothing more: what still loads or unloads belongs to a server that has ended, and so has its log."""
        with self._speaking:
            self._stopped = True

    def _say(self, level: int, text: str, *values: object) -> None:
        """Logs, unless it has been stopped: once `stop` has returned, no thread writes to a log that may be closed."""
        with self._speaking:
            if not self._stopped:
                logger.log(level, text, *values)

    def reconcile(self, aspired: Mapping[int, Path]) -> None:
        """Loads the aspired versions that are not there, highest first, and unloads those no longer aspired.

        No version is unloaded while another that should replace it is not available: where the new one is broken, the
        old one stays.
        """
        with self._lock:
            for version in self._versions.values():
                if version.number not in aspired and version.error:
                    version.attempts, version.retry_at = 0, 0.0
        for number in sorted(aspired, reverse=True):
            if self._may_load(number, aspired[number]):
                self._load_version(number, aspired[number])
                self._unload_replaced(aspired)
        self._unload_replaced(aspired)

    def get(self, number: int | None = None) -> tuple[int, LoadedModel]:
        """Returns an available version, the highest where `number` is None; it is held until `model.__exit__()`.

        Raises:
          ServingError: 404, there is none.
        """
        with self._lock:
            chosen = self._newest if number is None else self._versions.get(number)
            if chosen is None or chosen.state is not State.AVAILABLE or chosen.model is None:
                raise not_available(self.name, number)
            chosen.model.__enter__()
            return chosen.number, chosen.model

    def status(self, number: int | None = None) -> list[Version]:
        """Returns the versions known, newest first.

        Raises:
          ServingError: 404, there is none.
        """
        with self._lock:
            versions = sorted(self._versions.values(), key=lambda version: -version.number)
        if number is not None:
            versions = [version for version in versions if version.number == number]
        if not versions:
            raise unknown(self.name, number)
        return versions

    def available(self) -> list[int]:
        """Returns the numbers of the versions that answer, highest first."""
        with self._lock:
            return sorted((v.number for v in self._versions.values() if v.state is State.AVAILABLE), reverse=True)

    def failures(self) -> list[Version]:
        """Returns the versions that failed to load for good, newest first."""
        with self._lock:
            failed = [v for v in self._versions.values() if v.error and v.attempts > self._retries.count]
        return sorted(failed, key=lambda version: -version.number)

    def is_settled(self, number: int) -> bool:
        """Tells whether a version is available, or will not be by itself."""
        with self._lock:
            version = self._versions.get(number)
        return version is not None and (version.state is State.AVAILABLE or bool(version.error))

    def _may_load(self, number: int, folder: Path) -> bool:
        with self._lock:
            version = self._versions.get(number)
            if version is None or (version.state is State.END and not version.error):
                return True
            if version.state is State.AVAILABLE and version.folder == folder:
                return False
            waited = time.monotonic() >= version.retry_at
            return version.state is not State.UNLOADING and waited and version.attempts <= self._retries.count

    def _load_version(self, number: int, folder: Path) -> None:
        with self._lock:
            version = self._versions.setdefault(number, Version(number, folder))
            replaced = version.model  # The same number below another base path; it answers until the new one does.
            if replaced is None:
                version.state, version.error, version.code = State.LOADING, "", Code.OK
        started = time.monotonic()
        try:
            model = self._load(self.name, folder)
        except Exception as error:  # noqa: BLE001 - whatever a broken SavedModel raises, the old version goes on.
            with self._lock:
                if replaced is None:
                    version.state, version.error = State.END, str(error) or type(error).__name__
                    version.code = error.code if isinstance(error, ServingError) else Code.UNKNOWN
                version.attempts += 1
                version.retry_at = time.monotonic() + self._retries.interval_s
                again = version.attempts <= self._retries.count
            then = f"trying again in {self._retries.interval_s:g} s" if again else "giving up"
            text = "Version %d of %s cannot be loaded from %s (%s): %s"
            self._say(logging.ERROR, text, number, self.name, folder, then, error)
            return
        with self._lock:
            version.model, version.folder, version.state, version.attempts = model, folder, State.AVAILABLE, 0
            self._find_newest()
        if replaced is not None:
            threading.Thread(target=replaced.close, daemon=True).start()
        self._say(logging.INFO, "Loaded version %d of %s in %.2f s", number, self.name, time.monotonic() - started)

    def _unload_replaced(self, aspired: Mapping[int, Path]) -> None:
        available = self.available()
        if aspired and not any(number in aspired for number in available):
            return
        for number in available:
            if number not in aspired:
                self._unload(number)

    def _unload(self, number: int) -> None:
        with self._lock:
            version = self._versions[number]
            model, version.model, version.state = version.model, None, State.UNLOADING
            self._find_newest()
        assert model is not None, "an available version is loaded"
        # In a thread of its own: a request that hangs must not keep newer versions from being found.
        threading.Thread(target=self._finish_unloading, args=(version, model), daemon=True).start()

    def _finish_unloading(self, version: Version, model: LoadedModel) -> None:
        model.close()
        with self._lock:
            version.state = State.END
        self._say(logging.INFO, "Unloaded version %d of %s", version.number, self.name)

    def _find_newest(self) -> None:
        available = [v for v in self._versions.values() if v.state is State.AVAILABLE]
        self._newest = max(available, key=lambda version: version.number, default=None)


def not_available(name: str, number: int | None) -> ServingError:
    """Returns the refusal of a request to a model or version that does not answer."""
    which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return ServingError(Code.NOT_FOUND, f"Servable not found for request: {which}")


def unknown(name: str, number: int | None) -> ServingError:
    """Returns the refusal of a question about a model or version that was never there."""
    what = "any versions" if number is None else f"version {number}"
    return ServingError(Code.NOT_FOUND, f"Could not find {what} of model {name}")
