"""Loads own code from its texts, under a private name: no package's name, nothing on sys.path, nothing left on disk.

Inside it an absolute import finds the files of its own folder first, as in a script; everybody else's imports stay as
they are.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import inspect
import linecache
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any

from models.errors import OwnCodeError
from models.own.source import OwnCode, module_files

_PREFIX = "own_code_"
_OWN_FILE = re.compile(_PREFIX + "[0-9a-f]+/")
"""Begins the names of own files in tracebacks: the private name of what they belong to."""


def load(own: OwnCode) -> ModuleType:
    """Returns the module, loaded once for each content.

    Raises:
      OwnCodeError: it cannot be imported; names the file and the line.
    """
    root = _PREFIX + own.digest
    if root not in _FINDER.known:
        _FINDER.known[root] = own
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)
    name = own.entry.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    loaded: ModuleType = call(own, "loading", importlib.import_module, f"{root}.{name}")
    return loaded


def function(own: OwnCode, name: str) -> Callable[..., Any]:  # Any: somebody else's function.
    """Returns one of the functions that the code defines; what it raises comes as an OwnCodeError."""
    defined = getattr(load(own), name)
    if not callable(defined):
        raise OwnCodeError(f"{own.entry}: {name} is no function. Received: {type(defined).__name__}.")

    def called(*arguments: Any) -> Any:
        return call(own, name, defined, *arguments)

    return called


def takes(own: OwnCode, name: str) -> int:
    """How many arguments one of the functions takes by position, at most."""
    parameters = inspect.signature(getattr(load(own), name)).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return sys.maxsize
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in by_position for parameter in parameters)


def call(own: OwnCode, what: str, called: Callable[..., Any], *arguments: Any) -> Any:
    """Calls own code.

    Raises:
      OwnCodeError: whatever it raised, with the file and the line of own code where it did.
    """
    try:
        return called(*arguments)
    except OwnCodeError:
        raise
    except Exception as error:
        place, fault = own.entry, f"{type(error).__name__}: {' '.join(str(error).split())}"
        for frame in traceback.extract_tb(error.__traceback__):
            if match := _OWN_FILE.match(frame.filename):
                place = f"{frame.filename[match.end() :]}, line {frame.lineno}"
        raise OwnCodeError(f"{place}: {what}: {fault}") from error


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of own code by the private name of its root."""

    def __init__(self) -> None:
        self.known: dict[str, OwnCode] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        root, _, name = fullname.partition(".")
        if root not in self.known:
            return None
        files = self.known[root].files
        module, package = module_files(name) if name else ("", "__init__.py")
        if module in files:
            return importlib.machinery.ModuleSpec(fullname, _Loader(root, module, files[module]), is_package=False)
        if package in files or not name or any(path.startswith(f"{name.replace('.', '/')}/") for path in files):
            loader = _Loader(root, package, files.get(package, "") if name else "")
            return importlib.machinery.ModuleSpec(fullname, loader, is_package=True)
        return None


_FINDER = _Finder()


class _Loader(importlib.abc.InspectLoader):
    """Runs one text as a module. Tracebacks, `inspect` and AutoGraph find its lines through linecache."""

    def __init__(self, root: str, path: str, text: str) -> None:
        self._root, self._text = root, text
        self._filename = f"{root}/{path}"

    def get_source(self, fullname: str) -> str:
        del fullname
        return self._text

    def get_code(self, fullname: str) -> CodeType:
        del fullname
        return compile(self._text, self._filename, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        lines = self._text.splitlines(keepends=True)
        linecache.cache[self._filename] = (len(self._text), None, lines, self._filename)
        module.__file__ = self._filename
        # An import statement calls the `__import__` of its own module's builtins.
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102  # It is what somebody asks us to run.

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """`__import__`, with the own folder first."""
        top = name.partition(".")[0]
        if level or _FINDER.find_spec(f"{self._root}.{top}", None) is None:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        found = importlib.import_module(f"{self._root}.{name}")
        if not fromlist:
            return sys.modules[f"{self._root}.{top}"]
        return builtins.__import__(found.__name__, globals, locals, fromlist, 0)
