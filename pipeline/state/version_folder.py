"""What can be known of the live version without TensorFlow: its folder carries it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline import files
from pipeline.errors import PipelineError

SAMPLE_REQUEST_FILE = Path("assets.extra") / "sample_request.json"
BASELINE_FOLDER = Path("assets.extra") / "baseline"
WINDOW_FILE = "window.json"
DEFINITION_FILE = "definition.json"
"""In the baseline's folder: what the model was made from, the data aside."""
PREDICTIONS_FILE = "predictions.npz"
"""In the baseline's folder, of what this very model gives rows which were held out: `probabilities`, float32 (rows,),
the number that its answers are watched by, and of several `classes` all probabilities, float32 (rows, classes)."""
ROLLBACK_FILE = Path("assets.extra") / "rollback.json"
SERVING_GRAPH_FILE = Path("assets.extra") / "serving_graph.json"
"""Which graph the Trainer chose to answer requests, and why."""


def why_slow(version_dir: Path) -> str:
    """Returns why a version answers through TFT's graph; empty where it does not, or does not say."""
    content = files.read(str(version_dir), str(SERVING_GRAPH_FILE))
    if content is None:
        return ""
    try:
        return str(json.loads(content)["reason"])
    except (ValueError, KeyError, TypeError):
        return ""


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """What a version carries that was not pushed by a run, but made live again by `rollback`.

    Attributes:
      origin: the version that a run pushed, and whose model this is.
      instead_of: what was live before.
      undoes: the rollback that `rollback --undo` took back; None for a rollback.
      withdrawn_spans: later spans than this model's, which the model that was taken out of service was trained on. They
        count as processed: without that, the next run would train the same model once more.
      made_at: seconds since 1970.
    """

    origin: int
    instead_of: int
    undoes: int | None
    withdrawn_spans: tuple[int, ...]
    made_at: int

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def read_rollback(version_dir: Path | str) -> Rollback | None:
    """Returns the version's rollback; None where a run pushed it. The version may be in a bucket.

    Raises:
      PipelineError: the file is damaged.
    """
    path = f"{version_dir}/{ROLLBACK_FILE}"
    content = files.read(str(version_dir), str(ROLLBACK_FILE))
    if content is None:
        return None
    try:
        value = json.loads(content)
        return Rollback(**{**value, "withdrawn_spans": tuple(value["withdrawn_spans"])})
    except (ValueError, KeyError, TypeError) as error:
        raise PipelineError(f"{path} is not the record of a rollback ({error!r}). Roll back again (--to).") from error


@dataclass(frozen=True, kw_only=True)
class LiveTraining:
    """What the live model was trained on; nothing where no version is live.

    Attributes:
      window: the spans that it was trained on.
      withdrawn: later spans, which only a model was trained on that a rollback has taken out of service.
      origin: the version that a run pushed with this model, which is earlier than the live one after a rollback.
    """

    window: tuple[int, ...] = ()
    withdrawn: tuple[int, ...] = ()
    origin: int = 0


def live_training(serving_dir: Path) -> LiveTraining:
    """Returns what the newest version was trained on."""
    versions = pushed_versions(serving_dir)
    if not versions:
        return LiveTraining()
    folder = serving_dir / str(versions[-1])
    rollback = read_rollback(folder)
    return LiveTraining(
        window=window_of(folder),
        withdrawn=rollback.withdrawn_spans if rollback else (),
        origin=rollback.origin if rollback else versions[-1],
    )


def window_of(version_dir: Path) -> tuple[int, ...]:
    """Returns the spans that a version was trained on; () where none were recorded."""
    file = version_dir / BASELINE_FOLDER / WINDOW_FILE
    return tuple(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else ()


def pushed_versions(serving_dir: Path) -> list[int]:
    """Returns the versions a model server would see, ascending."""
    if not serving_dir.is_dir():
        return []
    names = [entry.name for entry in serving_dir.iterdir() if entry.is_dir()]
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal())
