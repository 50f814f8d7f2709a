"""The life of a model's versions: found on disk, loaded before the old one goes, kept while requests need them."""

import enum
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from serving.errors import Code, ServingError
from serving.loaded_model import LoadedModel

logger = logging.getLogger(__name__)

MAX_LOAD_ATTEMPTS = 6  # One, and five retries.
RETRY_INTERVAL_S = 60.0


class State(enum.Enum):
    """States of a version, by the contract's names."""

    START = "START"
    LOADING = "LOADING"
    AVAILABLE = "AVAILABLE"
    UNLOADING = "UNLOADING"
    END = "END"


@dataclass
class Version:
    """One version, as far as it has come.

    Attributes:
      error: why the load failed; empty where it did not.
      retry_at: when a failed load is tried again, by the monotonic clock.
    """

    number: int
    state: State = State.START
    error: str = ""
    attempts: int = 0
    retry_at: float = 0.0
    model: LoadedModel | None = field(default=None, repr=False)


class VersionManager:
    """Serves the highest version below a base path (TensorFlow Serving's policy `latest`, one version).

    `poll` is called by one thread; `get` and `status` by any.
    """

    def __init__(self, name: str, base_path: Path, load: Callable[[Path], LoadedModel] = LoadedModel) -> None:
        self.name = name
        self._base_path = base_path
        self._load = load
        self._lock = threading.Lock()
        self._versions: dict[int, Version] = {}

    def poll(self) -> None:
        """Looks at the disk once: loads what is new, then unloads what it replaces."""
        if not self._base_path.is_dir():
            return
        found = {int(entry.name): entry for entry in self._base_path.iterdir() if entry.name.isdecimal()}
        wanted = max(found, default=None)
        if wanted is not None and self._may_load(wanted):
            self._load_version(wanted, found[wanted])
        available = [v.number for v in self._versions.values() if v.state is State.AVAILABLE]
        # The old version goes only when another is there to answer, or when its folder is gone.
        keep = {wanted} if wanted in available else {max(available, default=None)} & set(found)
        for number in available:
            if number not in keep:
                self._unload(number)

    def get(self, number: int | None = None) -> tuple[int, LoadedModel]:
        """Returns an available version, the highest where `number` is None.

        Raises:
          ServingError: 404, there is none.
        """
        with self._lock:
            available = [v for v in self._versions.values() if v.state is State.AVAILABLE]
            chosen = [v for v in available if number is None or v.number == number]
            if not chosen:
                which = f"Latest({self.name})" if number is None else f"Specific({self.name}, {number})"
                raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {which}")
            newest = max(chosen, key=lambda version: version.number)
            assert newest.model is not None, "an available version is loaded"
            return newest.number, newest.model

    def status(self, number: int | None = None) -> list[Version]:
        """Returns the versions known, newest first.

        Raises:
          ServingError: 404, there is none.
        """
        with self._lock:
            known = sorted(self._versions.values(), key=lambda version: -version.number)
            if number is not None:
                known = [version for version in known if version.number == number]
        if not known:
            what = "any versions" if number is None else f"version {number}"
            raise ServingError(Code.NOT_FOUND, f"Could not find {what} of model {self.name}")
        return known

    def is_available(self) -> bool:
        """Tells whether any version answers."""
        with self._lock:
            return any(version.state is State.AVAILABLE for version in self._versions.values())

    def failure(self) -> str:
        """Returns why a load has failed; empty where none has."""
        with self._lock:
            failed = [version for version in self._versions.values() if version.error]
        return f"version {failed[-1].number} of {self.name} cannot be loaded: {failed[-1].error}" if failed else ""

    def _may_load(self, number: int) -> bool:
        known = self._versions.get(number)
        if known is None or (known.state is State.END and not known.error):
            return True
        waited = time.monotonic() >= known.retry_at
        return known.state is State.END and waited and known.attempts < MAX_LOAD_ATTEMPTS

    def _load_version(self, number: int, folder: Path) -> None:
        with self._lock:
            version = self._versions.setdefault(number, Version(number))
            version.state, version.error = State.LOADING, ""
            version.attempts += 1
        started = time.monotonic()
        try:
            model = self._load(folder)
        except Exception as error:  # noqa: BLE001 - whatever a broken SavedModel raises, the old version goes on.
            logger.error("Version %d of %s cannot be loaded from %s: %s", number, self.name, folder, error)
            with self._lock:
                version.state, version.error = State.END, str(error) or type(error).__name__
                version.retry_at = time.monotonic() + RETRY_INTERVAL_S
            return
        with self._lock:
            version.model, version.state, version.attempts = model, State.AVAILABLE, 0
        logger.info("Loaded version %d of %s in %.2f s", number, self.name, time.monotonic() - started)

    def _unload(self, number: int) -> None:
        with self._lock:
            version = self._versions[number]
            model, version.model, version.state = version.model, None, State.UNLOADING
        assert model is not None, "an available version is loaded"
        # In a thread of its own: a request that hangs must not keep newer versions from being found.
        threading.Thread(target=self._finish_unloading, args=(version, model), daemon=True).start()

    def _finish_unloading(self, version: Version, model: LoadedModel) -> None:
        model.wait_until_idle()
        with self._lock:
            version.state = State.END
        logger.info("Unloaded version %d of %s", version.number, self.name)
