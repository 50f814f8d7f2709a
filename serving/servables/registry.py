"""All models of the server: their configuration, their versions on disk, their labels."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from serving.errors import Code, ServingError, invalid
from serving.servables.config import ModelConfig, find_versions
from serving.servables.loaded_model import LoadedModel
from serving.servables.versions import Retries, Version, VersionManager, not_available, unknown

logger = logging.getLogger(__name__)

LOADERS = 2  # Models that load at the same time.
WAIT_S = 0.05


class ModelRegistry:
    """The models by name. One thread polls; requests come from any."""

    def __init__(
        self, load: Callable[[str, Path], LoadedModel], *, retries: Retries, labels_for_unavailable: bool = False
    ) -> None:
        """Makes an empty registry.

        Args:
          load: from a model's name and a version's folder to the version, warmed up.
          labels_for_unavailable: a new label may name a version that is not available.
        """
        self._load = load
        self._retries = retries
        self._labels_for_unavailable = labels_for_unavailable
        self._configs: dict[str, ModelConfig] = {}
        self._managers: dict[str, VersionManager] = {}  # Of every model there ever was: its status stays.
        self._labels: Mapping[str, Mapping[str, int]] = {}
        self._loaders = ThreadPoolExecutor(LOADERS, thread_name_prefix="loader")
        self._loading: dict[str, Future[None]] = {}
        self._reloading = threading.Lock()
        self._polling = threading.Lock()
        self._missing: tuple[str, ...] = ()

    def poll(self) -> None:
        """Looks at the disk once and starts what has to be done, in the background.

        Where any model's base path is missing, nothing is done for any model: a file system that is not mounted must
        not unload what is served.
        """
        with self._polling:
            configs = dict(self._configs)
            found = {name: find_versions(config.base_path) for name, config in configs.items()}
            missing = tuple(str(configs[name].base_path) for name, versions in found.items() if versions is None)
            if missing != self._missing and missing:
                logger.warning("Could not find base path %s; no model is changed until it is there", ", ".join(missing))
            self._missing = missing
            if missing:
                return
            for name, manager in list(self._managers.items()):
                versions = found.get(name)
                aspired = configs[name].policy.choose(versions) if versions is not None else {}
                under_way = self._loading.get(name)
                if under_way is None or under_way.done():
                    self._loading[name] = self._loaders.submit(manager.reconcile, aspired)
                    self._loading[name].add_done_callback(_log_failure)

    def configure(self, configs: Sequence[ModelConfig], still_wanted: Callable[[], bool] = lambda: True) -> None:
        """Replaces the list of models; returns when each has a version that answers and the labels are set.

        Args:
          still_wanted: asked while waiting; False gives up.

        Raises:
          ServingError: a model that is new cannot be loaded, or a label names a version that is not available.
        """
        with self._reloading:
            with self._polling:
                for config in configs:
                    if config.name not in self._managers:
                        self._managers[config.name] = VersionManager(config.name, self._load, self._retries)
                self._configs = {config.name: config for config in configs}
            self._wait_for(configs, still_wanted)
            self._set_labels(configs)

    @contextlib.contextmanager
    def lease(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> Iterator[tuple[int, LoadedModel]]:
        """Holds an available version, the highest where none is named: a request ends on the version it began with.

        Raises:
          ServingError: 400 for an unknown label, 404 for an unknown model or version.
        """
        if label is not None:
            version = self.labelled(name, label)
        manager = self._managers.get(name) if name in self._configs else None
        if manager is None:
            raise not_available(name, version)
        number, model = manager.get(version)
        try:
            yield number, model
        finally:
            model.__exit__()

    def labelled(self, name: str, label: str) -> int:
        """Returns the version that a label names.

        Raises:
          ServingError: 400, there is no such label.
        """
        version = self._labels.get(name, {}).get(label)
        if version is None:
            raise invalid(f"Unrecognized servable version label: {label}")
        return version

    def status(self, name: str, version: int | None = None) -> list[Version]:
        """Returns a model's versions, newest first, also of one that is no longer served.

        Raises:
          ServingError: 404, there is none.
        """
        manager = self._managers.get(name)
        if manager is None:
            raise unknown(name, version)
        return manager.status(version)

    def is_configured(self, name: str) -> bool:
        """Tells whether a model of that name is served."""
        return name in self._configs

    def served(self) -> dict[str, list[int]]:
        """Returns the available versions of the configured models, highest first."""
        return {name: self._managers[name].available() for name in list(self._configs)}

    def close(self, *, wait: bool = False) -> None:
        """Starts no more loads."""
        self._loaders.shutdown(wait=wait, cancel_futures=True)

    def _wait_for(self, configs: Sequence[ModelConfig], still_wanted: Callable[[], bool]) -> None:
        said: set[str] = set()
        while True:
            self.poll()
            waiting = [config for config in configs if not self._is_ready(config)]
            if not waiting:
                return
            for config in waiting:
                if config.name not in said and not find_versions(config.base_path):
                    said.add(config.name)
                    logger.info("Model %s is waiting for a first version in %s", config.name, config.base_path)
            if not still_wanted():
                raise ServingError(
                    Code.DEADLINE_EXCEEDED,
                    f"No version of {', '.join(c.name for c in waiting)} became available in time",
                )
            time.sleep(WAIT_S)

    def _is_ready(self, config: ModelConfig) -> bool:
        manager = self._managers[config.name]
        if not manager.available():
            failures = manager.failures()
            if failures:
                newest = failures[0]
                raise ServingError(
                    newest.code, f"version {newest.number} of {config.name} cannot be loaded: {newest.error}"
                )
            return False
        found = config.policy.choose(find_versions(config.base_path) or {})
        return all(manager.is_settled(number) for number in config.labels.values() if number in found)

    def _set_labels(self, configs: Sequence[ModelConfig]) -> None:
        for config in configs:
            old = self._labels.get(config.name, {})
            available = self._managers[config.name].available()
            for label, version in config.labels.items():
                unavailable_allowed = self._labels_for_unavailable and label not in old
                if version not in available and not unavailable_allowed and old.get(label) != version:
                    raise ServingError(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {config.name}, which is not currently "
                        f"available for inference",
                    )
        self._labels = {config.name: dict(config.labels) for config in configs}


def _log_failure(done: "Future[None]") -> None:
    if not done.cancelled() and done.exception() is not None:
        logger.error("A poll of the versions ended early", exc_info=done.exception())
