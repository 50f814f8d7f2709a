"""How many kernels does one row start in a SavedModel's serving_default, and which?

python -m benchmarks.kernels runs/taxi/serving/taxi/VERSION
"""

import argparse
import collections
import sys
from collections.abc import Sequence


def kernels(model_dir: str) -> collections.Counter[str]:
    """Returns the kernels of one run on one row, by operation, as TensorFlow's own trace counts them."""
    import numpy as np
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2

    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        loaded = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], model_dir)
    signature = loaded.signature_def["serving_default"]
    feeds = {
        info.name: np.array(["1"] if info.dtype == tf.string else [1]).astype(tf.as_dtype(info.dtype).as_numpy_dtype)
        for info in signature.inputs.values()
    }
    fetches = [info.name for info in signature.outputs.values()]
    session.run(fetches, feeds)  # The first run optimizes the graph.
    metadata = config_pb2.RunMetadata()
    options = config_pb2.RunOptions(trace_level=config_pb2.RunOptions.FULL_TRACE)
    session.run(fetches, feeds, options=options, run_metadata=metadata)
    labels = [node.timeline_label for device in metadata.step_stats.dev_stats for node in device.node_stats]
    return collections.Counter(label.partition(" = ")[2].partition("(")[0] for label in labels)


def main(argv: Sequence[str] | None = None) -> int:
    """Counts and prints, the most frequent first."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model_dir", nargs="+", help="a SavedModel")
    for model_dir in parser.parse_args(argv).model_dir:
        counted = kernels(model_dir)
        names = ", ".join(f"{count} {name}" for name, count in counted.most_common())
        print(f"{model_dir}: {counted.total()} kernels: {names}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
