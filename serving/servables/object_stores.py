"""Versions in an object store, as whole folders of this machine: downloaded, verified, and let go of.

A version is taken when it is complete: it has a graph, the assets and variables that the graph speaks of, every shard
of these, and the same files with the same sizes and times before and after the download. It then appears by one rename,
under a name that holds a digest of that listing. So a version that is written anew under its number is loaded anew, and
one that is half written, or changes meanwhile, is not there yet. Stores count times in whole seconds: a version that
was just written is read a second after it was listed, when whatever is written next has another time.

See docs/decisions/0503-object-stores-are-mirrored.md.
"""

import contextlib
import hashlib
import logging
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from serving.servables.config import ModelConfig, Policy, find_versions, is_url, shown, version_number

logger = logging.getLogger(__name__)

DOWNLOADS = 4  # Files of one version at the same time.
_TICK_S = 1.0  # Amazon's and others' times have no fractions.
_YOUNG_S = 60  # More than the clocks of a store and of this machine are apart.
_RETRY_S = 30  # pyarrow's own limit for Google's store is 15 minutes.
_PIECE = 4 * 2**20
_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")
_SHARD = re.compile(r"variables/variables\.data-(\d{5})-of-(\d{5})")
_VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
_FETCHING = ".fetching-"


class RemoteFile(NamedTuple):
    """One file of a version, as the store lists it; its name is relative to the version."""

    name: str
    size: int
    changed_ns: int


Listing = tuple[RemoteFile, ...]  # In the order of the names.


class Store:
    """One base path in an object store, through pyarrow's file systems.

    Attributes:
      shown: the URL for messages, without its query.
    """

    def __init__(self, url: str) -> None:
        """Connects; credentials and endpoints come from the environment, as each store's own tools take them.

        Raises:
          OSError: the store cannot be reached.
          ValueError: the URL is none of pyarrow's.
        """
        from pyarrow import fs

        self.shown = shown(url)
        if url.startswith(("gs:", "gcs:")) and "retry_limit_seconds" not in url:
            url += f"{'&' if '?' in url else '?'}retry_limit_seconds={_RETRY_S}"
        self._fs, self._root = fs.FileSystem.from_uri(url)
        self._names: dict[int, str] = {}  # As a version is called there: 00000123.
        self._judged: dict[int, tuple[Listing, bool]] = {}

    def complete_versions(self, policies: Sequence[Policy]) -> dict[int, Listing]:
        """Returns those of the complete versions that a policy may choose.

        Raises:
          OSError: the base path is not there, or cannot be read.
        """
        from pyarrow import fs

        entries = self._fs.get_file_info(fs.FileSelector(self._root))
        numbered = [(version_number(entry.base_name), entry) for entry in entries]
        self._names = {n: entry.base_name for n, entry in numbered if n is not None and not entry.is_file}
        complete: dict[int, Listing] = {}
        for number in sorted(self._names, reverse=True):
            if any(_may_choose(policy, number, complete) for policy in policies):
                listing = self.listing(number)
                if self._is_complete(number, listing):
                    complete[number] = listing
        return complete

    def _is_complete(self, number: int, listing: Listing) -> bool:
        before, answer = self._judged.get(number, ((), False))
        if before != listing:
            names = {file.name for file in listing}
            answer = has_all_shards(names)
            if answer:
                graph = next(name for name in _GRAPHS if name in names)
                with self._fs.open_input_stream(self._path(number, graph)) as stream:
                    answer = needed_files(stream.read(), graph) <= names
            self._judged[number] = listing, answer
        return answer

    def _path(self, number: int, name: str = "") -> str:
        return f"{self._root.rstrip('/')}/{self._names[number]}/{name}".rstrip("/")

    def listing(self, number: int) -> Listing:
        """Returns the files of a version that `complete_versions` has found."""
        from pyarrow import fs

        folder = self._path(number)
        entries = self._fs.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
        files = [RemoteFile(e.path.removeprefix(folder + "/"), e.size, e.mtime_ns or 0) for e in entries if e.is_file]
        return tuple(sorted(files))

    def fetch(self, number: int, listing: Listing, into: Path) -> None:
        """Downloads a version's files.

        Raises:
          OSError: a file is gone, cannot be read, or has not the size that was listed.
          ValueError: a file's name leads out of the folder.
        """
        for file in listing:
            if not set(file.name.split("/")).isdisjoint({"", ".", ".."}):
                raise ValueError(f"version {number} has a file with the name {file.name!r}")
            (into / file.name).parent.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(DOWNLOADS, thread_name_prefix="download") as pool:
            list(pool.map(lambda file: self._fetch_one(number, file, into / file.name), listing))

    def _fetch_one(self, number: int, file: RemoteFile, target: Path) -> None:
        with self._fs.open_input_stream(self._path(number, file.name)) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, _PIECE)
            if copy.tell() != file.size:
                raise OSError(f"{file.name} of version {number} came with {copy.tell()} bytes; {file.size} are listed")


def has_all_shards(names: Set[str]) -> bool:
    """Tells whether a version has a graph, and all the shards of variables that their own names speak of."""
    shards = [match for name in names if (match := _SHARD.fullmatch(name))]
    counts = {int(shard[2]) for shard in shards}
    has_index = "variables/variables.index" in names
    return not names.isdisjoint(_GRAPHS) and has_index == bool(shards) and (not shards or counts == {len(shards)})


def needed_files(content: bytes, name: str) -> set[str]:
    """Returns the files that a graph speaks of: TensorFlow loads one without its variables, and fails at each request.

    Args:
      content: of `saved_model.pb` or `saved_model.pbtxt`.
    """
    try:
        if name.endswith(".pbtxt"):
            model = text_format.Parse(content, saved_model_pb2.SavedModel())
        else:
            model = saved_model_pb2.SavedModel.FromString(content)
    except (DecodeError, text_format.ParseError, UnicodeDecodeError):
        return set()  # The load says what is wrong with it.
    files = {f"assets/{asset.filename}" for graph in model.meta_graphs for asset in graph.asset_file_def}
    if any(node.op in _VARIABLES for graph in model.meta_graphs for node in graph.graph_def.node):
        files.add("variables/variables.index")
    return files


def _may_choose(policy: Policy, number: int, above: Mapping[int, Listing]) -> bool:
    """Tells whether a policy may choose a version, where `above` are the complete ones with higher numbers."""
    if policy.specific:
        return number in policy.specific
    return policy.every or len(above) < policy.latest


def is_young(listing: Listing, now: float) -> bool:
    """Tells whether a file may yet be written anew within the second of its time, in Unix time, and look the same."""
    return abs(now - max(file.changed_ns for file in listing) / 1e9) < _YOUNG_S


def _digest(listing: Listing) -> str:
    return hashlib.sha256(repr([tuple(file) for file in listing]).encode()).hexdigest()[:16]


def _is_whole(folder: Path, listing: Listing) -> bool:
    """Tells whether a copy has all files of a listing, each in its size."""
    try:
        return all((folder / file.name).stat().st_size == file.size for file in listing)
    except OSError:
        return False


class ObjectStores:
    """The base paths of models that lie in object stores.

    `sync` is called by one thread; `find` by any.
    """

    def __init__(self, cache: Path | None) -> None:
        """Makes a mirror without content.

        Args:
          cache: the folder of the copies, this server's alone; whole copies of an earlier server are used again. None
            is one of its own, which `close` removes.
        """
        self._cache = cache
        self._is_own = cache is None
        self._stores: dict[str, Store] = {}
        self._lock = threading.Lock()
        self._whole: dict[str, dict[int, Path]] = {}  # By URL.
        self._said: dict[str, str] = {}

    def find(self, base_path: str) -> dict[int, Path] | None:
        """Returns the versions that are here whole, or None where the store has not been read yet."""
        if not is_url(base_path):
            return find_versions(Path(base_path))
        with self._lock:
            return self._whole.get(base_path)

    def have_read(self, configs: Sequence[ModelConfig]) -> bool:
        """Tells whether the stores of all these models have been read once."""
        return all(self.find(config.base_path) is not None for config in configs if is_url(config.base_path))

    def sync(self, configs: Sequence[ModelConfig], served: Mapping[str, Sequence[int]]) -> None:
        """Reads each store once, downloads what is missing and removes what nobody needs.

        Args:
          configs: the models that are served or are to be.
          served: the versions that answer, by model; their copies stay.
        """
        by_url: dict[str, list[ModelConfig]] = {}
        for config in configs:
            if is_url(config.base_path):
                by_url.setdefault(config.base_path, []).append(config)
        for url, models in by_url.items():
            try:
                self._sync_one(url, [model.policy for model in models])
                self._said.pop(url, None)
            except Exception as error:  # noqa: BLE001 - whatever a store's client raises, what is served is served on.
                if self._said.get(url) != str(error):
                    self._said[url] = str(error)
                    logger.error("%s cannot be read; nothing is changed: %s", shown(url), error)
                continue
            self._evict(url, {number for model in models for number in served.get(model.name, ())})

    def close(self) -> None:
        """Removes the copies, unless they are in a folder that the operator named."""
        if self._is_own and self._cache is not None:
            shutil.rmtree(self._cache, ignore_errors=True)

    def _sync_one(self, url: str, policies: Sequence[Policy]) -> None:
        store = self._stores.get(url) or self._stores.setdefault(url, Store(url))
        complete = store.complete_versions(policies)
        wanted = {number: listing for policy in policies for number, listing in policy.choose(complete).items()}
        here: dict[int, Path] = {}
        for number, listing in sorted(wanted.items(), reverse=True):
            folder = self._folder(url) / f"{number}-{_digest(listing)}"
            if _is_whole(folder, listing) or self._download(store, number, listing, folder):
                here[number] = folder
        with self._lock:
            # Where one is still missing, those from before stay: it may be what replaces them.
            before = {} if len(here) == len(wanted) else self._whole.get(url, {})
            self._whole[url] = before | here

    def _download(self, store: "Store", number: int, listing: Listing, folder: Path) -> bool:
        """Fetches a version; returns whether it was the same before and after."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=_FETCHING, dir=folder.parent))
        try:
            if is_young(listing, time.time()):
                time.sleep(_TICK_S)
            store.fetch(number, listing, unfinished)
            if store.listing(number) != listing:
                logger.info("Version %d of %s changed while it was read; it is read again", number, store.shown)
                return False
            shutil.rmtree(folder, ignore_errors=True)  # A copy that is not whole.
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        logger.info("Version %d of %s is here: %d bytes", number, store.shown, sum(file.size for file in listing))
        return True

    def _evict(self, url: str, served: set[int]) -> None:
        """Removes the copies that are neither listed nor served, and what a killed download left behind."""
        with self._lock:
            kept = dict(self._whole.get(url, {}))
        names = {folder.name for folder in kept.values()}
        with contextlib.suppress(FileNotFoundError):
            for entry in list(self._folder(url).iterdir()):
                number = version_number(entry.name.partition("-")[0])
                is_served = number in served and number not in kept
                if entry.name not in names and not is_served:
                    shutil.rmtree(entry, ignore_errors=True)

    def _folder(self, url: str) -> Path:
        if self._cache is None:
            self._cache = Path(tempfile.mkdtemp(prefix="driftgate-models-"))
        return self._cache / hashlib.sha256(url.encode()).hexdigest()[:16]
