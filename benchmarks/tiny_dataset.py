"""A dataset that trains in a second, of as many spans as are wanted, each of which asks for a retraining.

For benchmarks that need many retrainings and no insight: two features, one hidden layer, and an amount that moves far
enough from each span to the next that the gate reruns.
"""

import random
from collections.abc import Callable
from pathlib import Path

NAME = "tiny"
ROWS = 400

_DATASET = """\
name = "tiny"
schema = "schema.pbtxt"

[spans]
pattern = "span-{SPAN}/v{VERSION}/data.csv"
window = 2
settle_seconds = 1.0

[label]
column = "clicked"

[features]
numeric = ["amount"]
categorical = ["kind"]

[training]
hidden_units = [4]
ensemble_size = 1
epochs = 1

[evaluation]
min_auc = 0.0
max_auc_drop = 1.0
max_slice_auc_drop = 1.0
max_calibration_error = 1.0
bootstraps = 0

[gate]
warm_start_limit = 1.0

[serving]
model_name = "tiny"
"""

_SCHEMA = """\
feature {
  name: "amount"
  type: FLOAT
  value_count { min: 1 max: 1 }
  presence { min_fraction: 1.0 min_count: 1 }
}
feature {
  name: "kind"
  type: BYTES
  value_count { min: 1 max: 1 }
  presence { min_fraction: 1.0 min_count: 1 }
}
feature {
  name: "clicked"
  type: INT
  value_count { min: 1 max: 1 }
  presence { min_fraction: 1.0 min_count: 1 }
}
"""


def write_dataset(folder: Path, extra: str = "") -> Path:
    """Writes `dataset.toml` and its schema; `extra` are more tables. Returns the dataset file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schema.pbtxt").write_text(_SCHEMA, encoding="utf-8")
    dataset = folder / "dataset.toml"
    dataset.write_text(_DATASET + extra, encoding="utf-8")
    return dataset


def span_text(span: int, version: int = 1) -> str:
    """Returns the span's CSV: the same text whenever it is asked for."""
    chance = random.Random(1000 * span + version)
    centre = 10.0 + 4.0 * span
    lines = ["amount,kind,clicked"]
    for _ in range(ROWS):
        amount = chance.gauss(centre, 2.0)
        kind = chance.choice(("walk", "ride", "fly"))
        clicked = int(chance.random() < (0.8 if amount > centre else 0.2))
        lines.append(f"{amount:.3f},{kind},{clicked}")
    return "\n".join(lines) + "\n"


def write_span(data: Path, span: int, version: int = 1) -> Path:
    """Writes a span as a careful sender does: beside its place, then renamed to it. Returns the file."""
    path = data / f"span-{span}" / f"v{version}" / "data.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(".data.csv.part")
    unfinished.write_text(span_text(span, version), encoding="utf-8")
    unfinished.rename(path)
    return path


def write_span_slowly(data: Path, span: int, parts: int, pause: Callable[[], None]) -> Path:
    """Writes a span in its place, part by part, as a careless sender does. Returns the file."""
    path = data / f"span-{span}" / "v1" / "data.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = span_text(span)
    step = len(text) // parts + 1
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, len(text), step):
            file.write(text[start : start + step])
            file.flush()
            pause()
    return path
