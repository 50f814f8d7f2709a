"""What can be known of the live version without TensorFlow: its folder carries it."""

import json
from pathlib import Path

from pipeline.root import pushed_versions

BASELINE_FOLDER = Path("assets.extra") / "baseline"
WINDOW_FILE = "window.json"
PREDICTIONS_FILE = "predictions.npz"
"""In the baseline's folder: `probabilities`, float32 (rows,), of the out-of-time evaluation, where there was one."""


def training_window(serving_dir: Path) -> tuple[int, ...]:
    """Returns the spans that the live version was trained on; () where no version is live or none was recorded."""
    versions = pushed_versions(serving_dir)
    if not versions:
        return ()
    file = serving_dir / str(versions[-1]) / BASELINE_FOLDER / WINDOW_FILE
    return tuple(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else ()
