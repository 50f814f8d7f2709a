"""SavedModels that show what the contract says of dtypes, shapes, examples and errors."""

from pathlib import Path

DTYPES = (
    "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "uint32", "uint64", "bool", "string",
    "float16", "bfloat16", "uint16", "complex64",
)  # fmt: skip


def save(folder: Path, factor: float, *only: str) -> None:
    """Writes a version: y = factor * x by default, and a signature for each thing to show, or `only` some of them."""
    import tensorflow as tf

    module = tf.Module()
    module.factor = tf.Variable(factor)

    def function(*dtypes_and_shapes):
        specs = [tf.TensorSpec(shape, dtype, name=name) for name, dtype, shape in dtypes_and_shapes]
        return tf.function(input_signature=specs, autograph=False)

    @function(("x", tf.float32, None))
    def scale(x):
        return {"y": module.factor * x}

    @function(("a", tf.float32, [None]), ("n", tf.int64, [None]), ("s", tf.string, [None]))
    def mixed(a, n, s):
        return {"a": a, "n": n, "s": s, "s_bytes": s, "flag": n > 0}

    @function(("i", tf.int32, None))
    def divide(i):
        return {"q": 1 // i}

    @function(("x", tf.float32, [None]))
    def total(x):
        return {"t": tf.reduce_sum(x)}

    @function(("x", tf.float32, [None]))
    def unlike(x):
        return {"all": x, "first": x[:1]}

    @function(("x", tf.float32, [None]))
    def halves(x):
        return {"h": tf.cast(x, tf.float16)}

    @function(("n", tf.int64, None))
    def count(n):
        """Takes about a second for a million, whatever the machine's arithmetic units."""
        return {
            "n": tf.while_loop(lambda i: i < tf.reduce_max(n), lambda i: [i + 1], [tf.zeros([], tf.int64)])[0] + n * 0
        }

    @function(("path", tf.string, []))
    def file(path):
        """Waits where the file is a named pipe, until somebody opens that for writing."""
        return {"content": tf.io.read_file(path)}

    features = {
        "x": tf.io.FixedLenFeature([], tf.float32),
        "c": tf.io.FixedLenFeature([], tf.int64, default_value=0),
        "s": tf.io.FixedLenFeature([], tf.string, default_value="none"),
    }

    @function(("inputs", tf.string, [None]))
    def classify(inputs):
        parsed = tf.io.parse_example(inputs, features)
        scores = tf.stack([module.factor * parsed["x"], tf.cast(parsed["c"], tf.float32)], axis=1)
        classes = tf.stack([parsed["s"], tf.fill(tf.shape(parsed["s"]), "other")], axis=1)
        return {"classes": classes, "scores": scores}

    @function(("inputs", tf.string, [None]))
    def classes_only(inputs):
        return {"classes": classify(inputs)["classes"]}

    @function(("inputs", tf.string, [None]))
    def scores_only(inputs):
        return {"scores": classify(inputs)["scores"]}

    @function(("inputs", tf.string, [None]))
    def regress(inputs):
        parsed = tf.io.parse_example(inputs, features)
        return {"outputs": (module.factor * parsed["x"] + tf.cast(parsed["c"], tf.float32))[:, tf.newaxis]}

    @function(("inputs", tf.string, [None]))
    def wide_regress(inputs):
        return {"outputs": tf.zeros([tf.size(inputs), 2])}

    signatures = {
        "serving_default": scale, "mixed": mixed, "divide": divide, "total": total, "unlike": unlike, "halves": halves,
        "count": count, "file": file, "classify": classify, "classes_only": classes_only, "scores_only": scores_only,
        "regress": regress, "wide_regress": wide_regress,
    }  # fmt: skip
    for dtype in DTYPES:
        signatures[f"same_{dtype}"] = function(("v", tf.as_dtype(dtype), None))(lambda v: {"out": tf.identity(v)})
    if only:
        signatures = {name: signatures[name] for name in only}
    unfinished = folder.with_name(f".saving-{folder.name}")
    module.functions = list(signatures.values())
    tf.saved_model.save(module, str(unfinished), signatures=signatures)
    unfinished.rename(folder)
