"""The life of one model's versions: which are wanted, what to do next, and who is using them.

A new version is loaded before an old one is unloaded; requests hold the version that they began with; a version that
cannot load leaves the others as they are.
"""

import enum
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

from serving.errors import Code, ServingError

logger = logging.getLogger(__name__)


class State(enum.IntEnum):
    """States of a version, with the numbers of ModelVersionStatus."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class Policy:
    """Which of the versions on disk are served.

    Attributes:
      num_versions: for `latest`, how many of the highest.
      versions: for `specific`, these.
    """

    kind: Literal["latest", "all", "specific"] = "latest"
    num_versions: int = 1
    versions: frozenset[int] = frozenset()

    def aspired(self, found: Collection[int]) -> frozenset[int]:
        """Returns the versions wanted among those found."""
        if self.kind == "all":
            return frozenset(found)
        if self.kind == "specific":
            return self.versions & frozenset(found)
        return frozenset(sorted(found)[-self.num_versions :])


@dataclass(frozen=True)
class Retries:
    """How often, and how many seconds apart, a failed load is tried again."""

    count: int = 5
    interval_s: float = 60.0


class Model(Protocol):
    """What a version is once it is loaded."""

    def close(self) -> None:
        """Frees its memory."""


@dataclass
class Version:
    """One version, as far as it has come.

    Attributes:
      error: why the load failed; None where it did not.
      attempts: loads tried since the version was last available or absent.
      retry_at: when a failed load is tried again, by the manager's clock.
      users: requests that hold it.
    """

    number: int
    state: State = State.START
    error: ServingError | None = None
    attempts: int = 0
    retry_at: float = 0.0
    users: int = 0
    model: Model | None = None


@dataclass(frozen=True)
class Step:
    """What to do next."""

    action: Literal["load", "unload"]
    number: int


def next_step(
    versions: Mapping[int, Version], aspired: Collection[int], retries: Retries, now: float
) -> Step | None:
    """Returns the next load or unload; None where nothing is to be done now. Prefers to keep a version available."""
    available = {number for number, version in versions.items() if version.state is State.AVAILABLE}
    surplus = available - set(aspired)
    if surplus and (not aspired or available & set(aspired)):
        return Step("unload", min(surplus))
    for number in sorted(aspired, reverse=True):
        version = versions.get(number)
        if version is None or version.state is State.START:
            return Step("load", number)
        if version.state is State.END:
            if version.error is None or (version.attempts <= retries.count and now >= version.retry_at):
                return Step("load", number)
    return None


class Lease:
    """A version in use: `with versions.acquire() as lease:` keeps it loaded until the block ends."""

    __slots__ = ("_owner", "_version", "model", "number")

    def __init__(self, owner: "ModelVersions", version: Version, model: Model) -> None:
        self._owner = owner
        self._version = version
        self.model = model
        self.number = version.number

    def __enter__(self) -> "Lease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owner.release(self._version)


class ModelVersions:
    """The versions of one model. Any thread may call; loads and unloads run in `pool`, one at a time."""

    def __init__(
        self,
        name: str,
        load: Callable[[str, int, Path], Model],
        pool: Executor,
        *,
        retries: Retries,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._load_model = load
        self._pool = pool
        self._retries = retries
        self._clock = clock
        self._changed = threading.Condition()
        self._versions: dict[int, Version] = {}
        self._aspired: Mapping[int, Path] = {}
        self._available: tuple[int, ...] = ()  # Rising.
        self._is_working = False

    def aspire(self, wanted: Mapping[int, Path]) -> None:
        """Sets the versions that are wanted, with their folders, and starts what follows from it."""
        with self._changed:
            self._aspired = dict(wanted)
            for number, version in self._versions.items():
                if number not in wanted:
                    version.attempts = 0  # A version that comes back gets all its attempts again.
        self.step()

    def step(self) -> None:
        """Starts the next load or unload, if one is due and none is under way."""
        with self._changed:
            if self._is_working:
                return
            step = next_step(self._versions, self._aspired, self._retries, self._clock())
            if step is None:
                return
            self._is_working = True
            if step.action == "load":
                version = self._versions.setdefault(step.number, Version(step.number))
                version.state, version.error = State.LOADING, None
                version.attempts += 1
            else:
                version = self._versions[step.number]
                version.state = State.UNLOADING
            self._publish()
            folder = self._aspired.get(step.number, Path())
        work = (lambda: self._load(version, folder)) if step.action == "load" else (lambda: self._unload(version))
        self._pool.submit(self._work, work)

    def acquire(self, number: int | None = None) -> Lease:
        """Returns a lease on an available version, the highest where `number` is None.

        Raises:
          ServingError: 404, there is none.
        """
        with self._changed:
            if number is None and self._available:
                number = self._available[-1]
            version = self._versions.get(number) if number is not None else None
            if version is None or version.state is not State.AVAILABLE or version.model is None:
                raise not_servable(self.name, number)
            version.users += 1
            return Lease(self, version, version.model)

    def release(self, version: Version) -> None:
        """Ends one use of a version."""
        with self._changed:
            version.users -= 1
            if version.state is State.UNLOADING:
                self._changed.notify_all()

    def status(self) -> list[tuple[int, State, ServingError | None]]:
        """Returns what is known of every version, newest first."""
        with self._changed:
            return [(n, v.state, v.error) for n, v in sorted(self._versions.items(), reverse=True)]

    def available(self) -> tuple[int, ...]:
        """Returns the numbers of the available versions, rising."""
        return self._available

    def failure(self) -> ServingError | None:
        """Returns why no version will become available without a change on disk; None where one still may."""
        with self._changed:
            if self._available or self._is_working or not self._aspired:
                return None
            for number in sorted(self._aspired, reverse=True):
                version = self._versions.get(number)
                if version is None or version.error is None or version.attempts <= self._retries.count:
                    return None
                error = version.error
            text = f"version {number} of {self.name} cannot be loaded: {error}"
            return ServingError(error.code, text)

    def is_settled(self) -> bool:
        """Tells whether nothing is under way or due."""
        with self._changed:
            is_due = next_step(self._versions, self._aspired, self._retries, self._clock()) is not None
            return not self._is_working and not is_due

    def _publish(self) -> None:
        """Renews what `acquire` looks at; the caller holds the lock."""
        self._available = tuple(sorted(n for n, v in self._versions.items() if v.state is State.AVAILABLE))
        self._changed.notify_all()

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # A fault of this server's own; the next poll tries again.
            logger.exception("Versions of %s: unexpected error", self.name)
        finally:
            with self._changed:
                self._is_working = False
                self._changed.notify_all()
        self.step()

    def _load(self, version: Version, folder: Path) -> None:
        started = self._clock()
        try:
            model = self._load_model(self.name, version.number, folder)
        except Exception as error:  # noqa: BLE001 - whatever a broken SavedModel raises, the old version goes on.
            reason = error if isinstance(error, ServingError) else ServingError(Code.UNKNOWN, repr(error))
            with self._changed:
                version.state, version.error = State.END, reason
                version.retry_at = self._clock() + self._retries.interval_s
                self._publish()
            left = self._retries.count + 1 - version.attempts
            logger.error(
                "Version %d of %s cannot be loaded from %s (%d more attempts): %s",
                version.number, self.name, folder, max(left, 0), reason,
            )  # fmt: skip
            return
        with self._changed:
            version.model, version.state, version.attempts = model, State.AVAILABLE, 0
            self._publish()
        logger.info("Loaded version %d of %s in %.2f s", version.number, self.name, self._clock() - started)

    def _unload(self, version: Version) -> None:
        with self._changed:
            self._changed.wait_for(lambda: version.users == 0)
            model, version.model = version.model, None
        if model is not None:
            model.close()
        with self._changed:
            version.state = State.END
            self._publish()
        logger.info("Unloaded version %d of %s", version.number, self.name)


def not_servable(name: str, number: int | None) -> ServingError:
    """Returns the answer for a model or version that is not there."""
    which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return ServingError(Code.NOT_FOUND, f"Servable not found for request: {which}")
