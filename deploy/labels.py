"""Says which pushed versions TensorFlow Serving loads, and where the labels `stable` and `canary` point.

    python deploy/labels.py                    canary to the newest version; stable stays, or is set for the first time
    python deploy/labels.py --stable canary    promotes: stable to where canary points
    python deploy/labels.py --stable 1795530317    rolls back

A running server refuses a label that is in use to move to a version that is not loaded. So where it runs, the version
is first added to what is loaded, and the label moves once the server says AVAILABLE.
Exit status: 0 written, 1 the server did not load the version in time (labels unchanged), 2 wrong usage.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

HERE = Path(__file__).resolve().parent
LABELS = ("stable", "canary")
_POLL_S = 0.5

Labels = Mapping[str, int]


class LabelsError(Exception):
    """The labels cannot be set; the message says why and what to do."""

    def __init__(self, message: str, status: int = 2):
        super().__init__(message)
        self.status = status


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the configuration that the server reads and returns the exit status."""
    args = _parser().parse_args(argv)
    pushed = args.pushed or HERE.parent / "runs" / args.model / "serving" / args.model
    try:
        base = _read(args.base)
        if args.output.exists():
            base = with_labels_of(base, _read(args.output))
        now = dict(_model(base, args.model).version_labels)
        wanted = choose(now, _versions(pushed), stable=args.stable, canary=args.canary)
        if now and set(wanted.values()) - set(now.values()):
            _write(configured(base, args.model, now, also_load=wanted.values()), args.output)
            try:
                _await_loaded(args.server, args.model, wanted, args.timeout)
            except LabelsError:
                _write(configured(base, args.model, now), args.output)
                raise
        _write(configured(base, args.model, wanted), args.output)
    except LabelsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    for label in LABELS:
        moved = f" (was {now[label]})" if label in now and now[label] != wanted[label] else ""
        print(f"{label} {wanted[label]}{moved}")
    return 0


def choose(now: Labels, versions: Sequence[int], *, stable: str | None, canary: str | None) -> dict[str, int]:
    """Returns the version of each label.

    Args:
      now: where the labels point; empty before the first time.
      versions: what has been pushed, ascending.
      stable, canary: a version, `newest`, or the other label; None leaves the label, except that canary follows the
        newest version where neither is given.
    """
    if stable is None and canary is None:
        canary = "newest"
    known = {"newest": versions[-1]} | {label: now.get(label, versions[-1]) for label in LABELS}
    wanted = {}
    for label, asked in zip(LABELS, (stable, canary), strict=True):
        name = asked or label
        version = known[name] if name in known else int(name) if name.isdecimal() else None
        if version is None or version not in versions:
            raise LabelsError(
                f"{label}: {name if version is None else version} is not a pushed version. Found: "
                f"{', '.join(map(str, versions))}; `newest`, `stable` and `canary` are allowed too."
            )
        wanted[label] = version
    return wanted


def configured(
    base: ModelServerConfig, model: str, labels: Labels, also_load: Collection[int] = ()
) -> ModelServerConfig:
    """Returns `base` with exactly the labelled versions of `model` loaded, and `also_load`."""
    config = ModelServerConfig()
    config.CopyFrom(base)
    entry = _model(config, model)
    entry.model_version_policy.specific.versions[:] = sorted({*labels.values(), *also_load})
    for label, version in labels.items():
        entry.version_labels[label] = version
    return config


def with_labels_of(base: ModelServerConfig, current: ModelServerConfig) -> ModelServerConfig:
    """Returns `base` with every model's versions and labels as they are in `current`."""
    config = ModelServerConfig()
    config.CopyFrom(base)
    by_name = {entry.name: entry for entry in current.model_config_list.config}
    for entry in config.model_config_list.config:
        if entry.name in by_name:
            entry.model_version_policy.CopyFrom(by_name[entry.name].model_version_policy)
            entry.ClearField("version_labels")
            entry.version_labels.update(by_name[entry.name].version_labels)
    return config


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="labels.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stable", metavar="VERSION|newest|canary", help="where stable points (default: unchanged)")
    parser.add_argument("--canary", metavar="VERSION|newest|stable", help="where canary points")
    parser.add_argument("--model", default="taxi", help="name in the base configuration (default: taxi)")
    parser.add_argument(
        "--pushed", type=Path, metavar="DIR", help="pushed versions (default: runs/MODEL/serving/MODEL)"
    )
    parser.add_argument("--base", type=Path, default=HERE / "tensorflow-serving" / "models.config", metavar="FILE")
    parser.add_argument("--output", type=Path, default=HERE / "rendered" / "models.config", metavar="FILE")
    parser.add_argument("--server", default="http://127.0.0.1:8501", metavar="URL", help="REST address")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="for loading (default: 120)")
    return parser


def _read(path: Path) -> ModelServerConfig:
    try:
        config: ModelServerConfig = text_format.Parse(path.read_text(encoding="utf-8"), ModelServerConfig())
    except OSError as error:
        raise LabelsError(f"{path} cannot be read: {error.strerror}.") from error
    except text_format.ParseError as error:
        raise LabelsError(f"{path} is not a ModelServerConfig: {error}") from error
    return config


def _model(config: ModelServerConfig, name: str) -> ModelConfig:
    for entry in config.model_config_list.config:
        if entry.name == name:
            return entry
    found = ", ".join(entry.name for entry in config.model_config_list.config) or "none"
    raise LabelsError(f"The base configuration has no model {name!r}. Found: {found}.")


def _versions(pushed: Path) -> list[int]:
    """Returns the whole versions in `pushed`, ascending."""
    versions = sorted(int(path.parent.name) for path in pushed.glob("*/saved_model.pb") if path.parent.name.isdecimal())
    if not versions:
        raise LabelsError(
            f"Nothing has been pushed to {pushed}. Run the pipeline first, or name the folder (--pushed)."
        )
    return versions


def _write(config: ModelServerConfig, path: Path) -> None:
    """Replaces `path` whole: the server may read it at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}-{os.getpid()}")
    unfinished.write_text("# Written by deploy/labels.py.\n" + text_format.MessageToString(config), encoding="utf-8")
    unfinished.replace(path)


def _await_loaded(server: str, model: str, wanted: Labels, timeout_s: float) -> None:
    """Returns once every wanted version answers requests, or at once where no server runs.

    Raises:
      LabelsError: not in time; labels still point where they did.
    """
    deadline = time.monotonic() + timeout_s
    for version in sorted(set(wanted.values())):
        state = "unknown"
        while state != "AVAILABLE":
            try:
                state = _state(f"{server}/v1/models/{model}/versions/{version}")
            except ConnectionRefusedError:
                print(f"No server at {server}; the labels count from its next start.", file=sys.stderr)
                return
            if state == "AVAILABLE":
                break
            if time.monotonic() >= deadline:
                raise LabelsError(
                    f"{server} did not load version {version} of {model} in {timeout_s:g} s (last state: {state}). "
                    "The labels are unchanged; its log says more.",
                    status=1,
                )
            time.sleep(_POLL_S)


def _state(url: str) -> str:
    """Returns a version's state as TensorFlow Serving's REST status names it."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            status = json.load(response)
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            raise error.reason from error
        return str(error.reason)
    except (OSError, ValueError) as error:
        return type(error).__name__
    return str(status["model_version_status"][0]["state"])


if __name__ == "__main__":
    sys.exit(main())
