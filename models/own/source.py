"""The files of `[model] module`, read and checked without running them: a mistake is told in milliseconds.

The module and the files of its folder that it imports travel together, as texts: in cache keys, in compiled pipelines
and to workers. What they import from elsewhere must be installed wherever the pipeline runs.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from models.errors import OwnCodeError

PREPROCESSING, BUILD_MODEL, RUN, METRICS = "preprocessing_fn", "build_model", "run_fn", "metrics"
_ENTRIES: Mapping[str, tuple[str, int, int]] = {
    PREPROCESSING: ("(inputs) or (inputs, config)", 1, 2),
    BUILD_MODEL: ("(spec)", 1, 1),
    RUN: ("(fn_args)", 1, 1),
    METRICS: ("(labels, predictions, weights)", 3, 3),
}
"""By function: how it is to be declared, and with how few and how many arguments it is called."""
_OURS = frozenset({"columnar", "models", "monitoring", "pipeline", "serving"})
"""Packages that own code cannot mean: a template's `models` are files of its own folder."""
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class OwnCode:
    """A module and the files of its folder that it needs.

    Attributes:
      entry: path of the module, relative to the dataset's folder, such as `model.py`.
      files: text by such a path.
    """

    entry: str
    files: Mapping[str, str]

    @functools.cached_property
    def functions(self) -> frozenset[str]:
        """Which of the functions that may be own are defined."""
        return frozenset(set(_ENTRIES) & set(_bound_names(self, self.entry)))

    @property
    def digest(self) -> str:
        """A hash of the files and their names."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @property
    def digests(self) -> dict[str, str]:
        """A hash of each file, by its path."""
        return {path: hashlib.sha256(text.encode()).hexdigest()[:16] for path, text in sorted(self.files.items())}

    def to_json(self) -> str:
        """Serializes to JSON, the same text for equal code."""
        return json.dumps({"entry": self.entry, "files": dict(self.files)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> OwnCode:
        """Reads what `to_json` wrote."""
        value = json.loads(text)
        return cls(entry=value["entry"], files=value["files"])


def read(folder: Path, entry: str) -> OwnCode:
    """Reads a module and the files of `folder` that it imports, and checks what can be checked without running them.

    Raises:
      OwnCodeError: a file that is not there, is no Python, or imports what is not there; none of the functions, or one
        that cannot be called as it will be. Names the file and the line.
    """
    path = PurePosixPath(entry)
    if path.suffix != ".py" or path.is_absolute() or ".." in path.parts or not _is_name(path):
        raise OwnCodeError(f"expected a Python file in the dataset's folder, such as model.py. Received: {entry!r}.")
    files: dict[str, str] = {}
    wanted = [str(path)]
    while wanted:
        name = wanted.pop()
        if name in files:
            continue
        files[name] = _read(folder, name)
        wanted += _imported(folder, name, _parse(files[name], name))
    if sum(map(len, files.values())) > _MOST_BYTES:
        raise OwnCodeError(f"{entry} and what it imports from its folder are longer than a million characters.")
    own = OwnCode(entry=str(path), files=files)
    _check_entries(own)
    return own


def _is_name(path: PurePosixPath) -> bool:
    return all(part.isidentifier() for part in path.with_suffix("").parts)


def _read(folder: Path, name: str) -> str:
    path = folder / name
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OwnCodeError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise OwnCodeError(f"{path} is not UTF-8: {error}.") from error


def _parse(text: str, name: str) -> ast.Module:
    try:
        return ast.parse(text, name)
    except SyntaxError as error:
        raise OwnCodeError(f"{name}, line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from error
    except (ValueError, RecursionError) as error:  # A null byte; expressions that are nested too deeply.
        raise OwnCodeError(f"{name} is no Python: {error}.") from error


def module_files(name: str) -> tuple[str, str]:
    """Returns the paths, relative to the folder, that a module of this dotted name may have."""
    path = name.replace(".", "/")
    return f"{path}.py", f"{path}/__init__.py"


def _own_file(folder: Path, name: str) -> str | None:
    """Returns the path of an own module; "" for a package without a file of its own; None where there is no such."""
    for path in module_files(name):
        if (folder / path).is_file():
            return path
    package = folder / name.replace(".", "/")
    return "" if package.is_dir() and any(package.glob("*.py")) else None


def _imported(folder: Path, name: str, tree: ast.Module) -> Iterator[str]:
    """Yields the files of the folder that a file imports.

    Raises:
      OwnCodeError: it imports what is neither there nor installed.
    """
    tolerated = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.Try)
        for part in guard.body
        for node in ast.walk(part)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module(folder, name, node, alias.name, (), id(node) in tolerated)
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").split(".") if node.module else []
            if node.level:
                package = PurePosixPath(name).parts[: -node.level]
                if node.level > len(PurePosixPath(name).parts):
                    raise OwnCodeError(f"{name}, line {node.lineno}: the import leads out of the dataset's folder.")
                base = [*package, *base]
            members = tuple(alias.name for alias in node.names)
            yield from _module(
                folder, name, node, ".".join(base), members, id(node) in tolerated, relative=bool(node.level)
            )


def _module(
    folder: Path,
    name: str,
    node: ast.stmt,
    module: str,
    members: tuple[str, ...],
    tolerated: bool,
    *,
    relative: bool = False,
) -> Iterator[str]:
    """Yields the own files behind `import module` or `from module import members`."""
    top = module.partition(".")[0]
    if not relative and _own_file(folder, top) is None:
        if top in _OURS or not (tolerated or _is_installed(top)):
            raise OwnCodeError(
                f"{name}, line {node.lineno}: there is no module {module!r}: neither {' nor '.join(module_files(top))} "
                f"in the folder of the dataset, nor an installed package."
            )
        return
    parts = module.split(".") if module else []
    for count in range(1, len(parts) + 1):
        path = _own_file(folder, ".".join(parts[:count]))
        if path is None:
            tried = " nor ".join(module_files(".".join(parts[:count])))
            raise OwnCodeError(f"{name}, line {node.lineno}: there is neither {tried} in the folder of the dataset.")
        if path:
            yield path
    last = _own_file(folder, module) if module else ""
    for member in members:
        path = _own_file(folder, f"{module}.{member}" if module else member)
        if path:
            yield path
        elif path is None and last == "":  # A package without a file has no other members.
            tried = " nor ".join(module_files(f"{module}.{member}" if module else member))
            raise OwnCodeError(f"{name}, line {node.lineno}: there is neither {tried} in the folder of the dataset.")


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return True  # It is loaded already, in a way that tells nothing of where from.


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yields what runs when the module is loaded, branches included."""
    for node in body:
        yield node
        for branch in ("body", "orelse", "finalbody"):
            if isinstance(node, ast.If | ast.Try | ast.With):
                yield from _statements(getattr(node, branch, []))
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                yield from _statements(handler.body)


def _bound_names(own: OwnCode, path: str, within: frozenset[str] = frozenset()) -> dict[str, tuple[str, ast.stmt]]:
    """Returns what a file binds when it is loaded: name to the file and the statement that define it, where told."""
    found: dict[str, tuple[str, ast.stmt]] = {}
    for node in _statements(_parse(own.files[path], path).body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = (path, node)
        elif isinstance(node, ast.Assign):
            found |= {target.id: (path, node) for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = (path, node)
        elif isinstance(node, ast.ImportFrom):
            found |= _imported_names(own, path, node, within | {path})
    return found


def _imported_names(
    own: OwnCode, path: str, node: ast.ImportFrom, within: frozenset[str]
) -> dict[str, tuple[str, ast.stmt]]:
    parts = [*PurePosixPath(path).parts[: -node.level]] if node.level else []
    source = next((p for p in module_files(".".join([*parts, node.module or ""]).strip(".")) if p in own.files), None)
    there = _bound_names(own, source, within) if source and source not in within else {}
    found: dict[str, tuple[str, ast.stmt]] = {}
    for alias in node.names:
        if alias.name == "*":
            found |= there
        else:
            found[alias.asname or alias.name] = there.get(alias.name, (path, node))
    return found


def _check_entries(own: OwnCode) -> None:
    bound = _bound_names(own, own.entry)
    if not own.functions:
        raise OwnCodeError(
            f"{own.entry} defines none of {', '.join(_ENTRIES)}. It defines: {', '.join(sorted(bound)) or 'nothing'}."
        )
    for name in sorted(own.functions):
        path, node = bound[name]
        declared, least, most = _ENTRIES[name]
        if isinstance(node, ast.FunctionDef) and not _takes(node.args, least, most):
            raise OwnCodeError(
                f"{path}, line {node.lineno}: expected {name}{declared}. Received: {name}({ast.unparse(node.args)})."
            )
        if isinstance(node, ast.AsyncFunctionDef | ast.ClassDef):
            raise OwnCodeError(f"{path}, line {node.lineno}: expected a function {name}{declared}.")


def _takes(arguments: ast.arguments, least: int, most: int) -> bool:
    """Whether a function can be called with so many arguments, by position."""
    given = len(arguments.posonlyargs) + len(arguments.args)
    required = given - len(arguments.defaults)
    if any(default is None for default in arguments.kw_defaults):
        return False
    return required <= most and (given >= least or arguments.vararg is not None)
