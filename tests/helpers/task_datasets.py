"""A small dataset of each task that is no yes or no, of which every span is drawn alike, and a broken span."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 800
TASKS = ("regression", "multiclass")

_LABELS = {
    "regression": 'task = "regression"\ncolumn = "minutes late"\nweight = "riders"\ninterval = 0.8',
    "multiclass": 'task = "multiclass"\ncolumn = "how it went"',
}
_METRICS = {"regression": ("r_squared", "interval_coverage"), "multiclass": ("top_3_accuracy", "f1_macro")}
_DATASET = """\
name = "{task}"
schema = "schema.pbtxt"
[spans]
format = "parquet"
pattern = "span-{{SPAN}}/data.parquet"
window = 1
data = "spans"
settle_seconds = 0.0
[label]
{label}
[features]
numeric = ["distance"]
categorical = ["line"]
[model]
learner = "{learner}"
[training]
hidden_units = [16]
ensemble_size = 2
epochs = 12
batch_size = 32
learning_rate = 0.02
[evaluation]
slices = [["line"]]
metrics = {metrics}
[gate]
retrain_cost = 0.1  # Of accuracy, on a few hundred rows, less is noise.
[serving]
model_name = "{task}"
"""
_SCHEMA = """\
feature { name: "distance" type: FLOAT presence { min_fraction: 1.0 min_count: 1 } float_domain { min: 0.0 } }
feature { name: "line" type: BYTES presence { min_fraction: 1.0 min_count: 1 } }
feature { name: "riders" type: INT presence { min_fraction: 1.0 min_count: 1 } }
feature { name: "minutes late" type: FLOAT }
feature {
  name: "how it went"
  type: BYTES
  string_domain { name: "ends" value: "on time" value: "late" value: "not at all" }
}
"""


def write(folder: Path, task: str, spans: int = 3, learner: str = "network") -> Path:
    """Writes the dataset with spans from 1; returns its folder."""
    folder.mkdir(parents=True)
    (folder / "dataset.toml").write_text(
        _DATASET.format(task=task, label=_LABELS[task], learner=learner, metrics=json.dumps(_METRICS[task])),
        encoding="utf-8",
    )
    (folder / "schema.pbtxt").write_text(_SCHEMA, encoding="utf-8")
    for span in range(1, spans + 1):
        write_span(folder, span)
    return folder


def write_span(folder: Path, span: int, *, turned: bool = False, later: float = 0.0, rows: int = ROWS) -> None:
    """Writes one span; `turned`: what made a ride late makes it early, and the other way round; `later`: all are."""
    random = np.random.default_rng(span)
    distance = random.gamma(3.0, 4.0, rows)
    line = random.choice(["red", "blue", "green"], rows, p=[0.5, 0.3, 0.2])
    expected = (distance - 12) * (-1 if turned else 1) + 6 * (line == "red")
    late = expected + later + random.normal(size=rows) * 3
    ends = np.select([late < 2, late < 14], ["on time", "late"], "not at all")
    table = pa.table(
        {
            "distance": pa.array(distance, pa.float32()),
            "line": line.tolist(),
            "riders": random.integers(1, 50, rows),
            "minutes late": pa.array(late, pa.float32()),
            "how it went": ends.tolist(),
        }
    )
    path = folder / "spans" / f"span-{span}" / "data.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
