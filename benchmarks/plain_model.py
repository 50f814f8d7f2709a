"""A pushed version once more, answering through TFT's graph: what the graph of stacked columns is compared with.

python -m benchmarks.plain_model --root runs/taxi --version runs/taxi/serving/taxi/VERSION --output /tmp/plain
"""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def write(root: Path, version: Path, output: Path) -> None:
    """Writes the SavedModel with the version's weights, uncalibrated, over the root's newest transform graph."""
    import numpy as np

    from models import serving_graph, signatures, warm_start
    from models.calibration import Calibration
    from models.learners.network import NetworkMembers
    from models.network import Ensemble
    from models.packed import Layout
    from models.tasks import Binary
    from models.training_spec import TrainingSpec
    from models.transform_graph import TransformGraph
    from pipeline.config.dataset import load_dataset

    features = load_dataset("taxi").features
    transform = max((root / "artifacts" / "Transform" / "transform_graph").iterdir(), key=lambda each: int(each.name))
    graph = TransformGraph(str(transform), features)
    described = json.loads((version / warm_start.FOLDER / "network.json").read_text(encoding="utf-8"))
    layout = Layout.of(features, {name: len(tokens) for name, tokens in described["vocabularies"].items()})
    network = Ensemble(layout, TrainingSpec.from_json(json.dumps(described["architecture"])))
    stored = np.load(io.BytesIO((version / warm_start.FOLDER / "weights.npz").read_bytes()))
    network.start_from([stored[name] for name in stored.files])
    plain = serving_graph.PlainGraph(NetworkMembers(network, np.arange(network.members)), graph)
    signatures.write(plain, Binary(), Calibration(), graph, features, str(output))


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for option in ("--root", "--version", "--output"):
        parser.add_argument(option, type=Path, required=True)
    args = parser.parse_args(argv)
    write(args.root, args.version, args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
