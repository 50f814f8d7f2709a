"""All models of the server: their configuration, their versions on disk, their labels."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serving.errors import Code, ServingError, invalid
from serving.servables.config import ModelConfig, find_versions, shown
from serving.servables.loaded_model import LoadedModel
from serving.servables.versions import Retries, Version, VersionManager, not_available, unknown

logger = logging.getLogger(__name__)

LOADERS = 2  # Models that load at the same time.
WAIT_S = 0.05


class ModelRegistry:
    """The models by name. One thread polls; requests come from any."""

    def __init__(
        self,
        load: Callable[[str, Path], LoadedModel],
        *,
        retries: Retries,
        labels_for_unavailable: bool = False,
        find: Callable[[str], dict[int, Path] | None] = lambda base_path: find_versions(Path(base_path)),
    ) -> None:
        """Makes an empty registry.

        Args:
          load: from a model's name and a version's folder to the version, warmed up.
          labels_for_unavailable: a new label may name a version that is not available.
          find: from a base path to its versions, None where it is not there.
        """
        self._find = find
        self._load = load
        self._retries = retries
        self._labels_for_unavailable = labels_for_unavailable
        self._configs: dict[str, ModelConfig] = {}
        self._staged: dict[str, ModelConfig] = {}  # Of a configuration that is being tried.
        self._managers: dict[str, VersionManager] = {}  # Of every model there ever was: its status stays.
        self._labels: Mapping[str, Mapping[str, int]] = {}
        self._loaders = ThreadPoolExecutor(LOADERS, thread_name_prefix="loader")
        self._wishes: dict[str, dict[int, Path]] = {}  # By model: what `reconcile` is to do next.
        self._busy: set[str] = set()  # Models with a `reconcile` under way or submitted.
        self._wishing = threading.Lock()
        self._reloading = threading.Lock()
        self._polling = threading.Lock()
        self._missing: tuple[str, ...] = ()

    def poll(self) -> None:
        """Looks at the disk once and starts what has to be done, in the background.

        Where any model's base path is missing, nothing is done for any model: a file system that is not mounted must
        not unload what is served.
        """
        with self._polling:
            versions = {name: self._find(config.base_path) for name, config in self._configs.items()}
            missing = tuple(shown(self._configs[name].base_path) for name, there in versions.items() if there is None)
            if missing != self._missing and missing:
                logger.warning("Could not find base path %s; no model is changed until it is there", ", ".join(missing))
            self._missing = missing
            if missing and not self._staged:
                return
            for name in list(self._managers):
                aspired: dict[int, Path] = {}
                if name in self._staged:
                    staged = self._staged[name]
                    aspired |= staged.policy.choose(self._find(staged.base_path) or {})
                if name in self._configs and not missing:
                    aspired |= self._configs[name].policy.choose(versions[name] or {})
                elif name in self._configs:
                    continue
                self._wish(name, aspired)

    def _wish(self, name: str, aspired: dict[int, Path]) -> None:
        """Has a loader make `aspired` true. A wish replaces one that has not begun, and is never left out."""
        with self._wishing:
            self._wishes[name] = aspired
            if name in self._busy:
                return
            self._busy.add(name)
        self._loaders.submit(self._grant, name)

    def _grant(self, name: str) -> None:
        with self._wishing:
            aspired = self._wishes.pop(name)
        try:
            self._managers[name].reconcile(aspired)
        except Exception:
            logger.exception("A poll of the versions of %s ended early", name)
        with self._wishing:
            if name not in self._wishes:
                self._busy.discard(name)
                return
        with contextlib.suppress(RuntimeError):  # Closed meanwhile.
            self._loaders.submit(self._grant, name)

    def configure(self, configs: Sequence[ModelConfig], still_wanted: Callable[[], bool] = lambda: True) -> None:
        """Replaces the list of models, whole or not at all.

        What the new list needs is loaded beside what is served. Only when each model has a version that answers, and
        each label a version to name, does the new list replace the old one; what it no longer needs is unloaded then.

        Args:
          still_wanted: asked while waiting; False gives up.

        Raises:
          ServingError: a model that is new cannot be loaded, or a label names a version that is not available. What
            was served before is served on.
        """
        with self._reloading:
            with self._polling:
                for config in configs:
                    if config.name not in self._managers:
                        self._managers[config.name] = VersionManager(config.name, self._load, self._retries)
                self._staged = {config.name: config for config in configs}
            try:
                self._wait_for(configs, still_wanted)
                self._check_labels(configs)
            except BaseException:
                with self._polling:
                    self._staged = {}
                self._poll_again()
                raise
            with self._polling:
                self._configs, self._staged = self._staged, {}
                self._labels = {config.name: dict(config.labels) for config in configs}
            self._poll_again()

    def _poll_again(self) -> None:
        with contextlib.suppress(RuntimeError):  # The server is being closed.
            self.poll()

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

    def wanted(self, *, staged_alone: bool = False) -> list[ModelConfig]:
        """Returns the models that are configured, and those of a configuration that is being tried."""
        with self._polling:
            return [*self._staged.values(), *([] if staged_alone else self._configs.values())]

    def served(self) -> dict[str, list[int]]:
        """Returns the available versions of the configured models, highest first."""
        return {name: self._managers[name].available() for name in list(self._configs)}

    def close(self, *, wait: bool = False) -> None:
        """Starts no more loads."""
        for manager in list(self._managers.values()):
            manager.stop()
        self._loaders.shutdown(wait=wait, cancel_futures=True)

    def _wait_for(self, configs: Sequence[ModelConfig], still_wanted: Callable[[], bool]) -> None:
        said: set[str] = set()
        while True:
            self.poll()
            waiting = [config for config in configs if not self._is_ready(config)]
            if not waiting:
                return
            for config in waiting:
                if config.name not in said and not self._find(config.base_path):
                    said.add(config.name)
                    logger.info("Model %s is waiting for a first version in %s", config.name, shown(config.base_path))
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
        aspired = config.policy.choose(self._find(config.base_path) or {})
        return all(manager.is_settled(number) for number in config.labels.values() if number in aspired)

    def _check_labels(self, configs: Sequence[ModelConfig]) -> None:
        for config in configs:
            old = self._labels.get(config.name, {})
            aspired = config.policy.choose(self._find(config.base_path) or {})
            available = [number for number in self._managers[config.name].available() if number in aspired]
            for label, version in config.labels.items():
                unavailable_allowed = self._labels_for_unavailable and label not in old
                if version not in available and not unavailable_allowed and old.get(label) != version:
                    raise ServingError(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {config.name}, which is not currently "
                        f"available for inference",
                    )
