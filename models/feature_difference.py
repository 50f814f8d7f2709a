"""Which transformed feature of a model is not the same for a row among others and for the row alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models.tf_examples import encode_columns

_SIGNATURE = "transform_features"
_TOLERANCE = 1e-5


def first_difference(model_dir: str, rows: pa.RecordBatch) -> str:
    """Returns a clause that names the first feature, by name, that differs; empty where none does, or none is exported.

    Training transforms many rows at once, a request often one: a feature that looks at the other rows of its batch, or
    draws by chance, differs between training and serving.
    """
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], model_dir)
        if _SIGNATURE not in loaded.signature_def:
            return ""
        signature = loaded.signature_def[_SIGNATURE]
        (taken,) = signature.inputs.values()
        fetched = {name: info.name for name, info in sorted(signature.outputs.items())}
        examples = encode_columns(rows, rows.schema.names).to_pylist()
        together = session.run(fetched, {taken.name: examples})
        alone = [session.run(fetched, {taken.name: [example]}) for example in examples]
    for name in fetched:
        among, single = together[name], np.concatenate([one[name] for one in alone])
        if not isinstance(among, np.ndarray) or among.shape != single.shape:
            return f"the transformed feature {name!r} has another shape for a row alone"
        same = (
            np.isclose(among, single, _TOLERANCE, _TOLERANCE, equal_nan=True)
            if among.dtype.kind == "f"
            else among == single
        )
        if not same.all():
            row = int(np.argwhere(~same)[0][0])
            return (
                f"the transformed feature {name!r} of row {row} is {among[row]} among {len(examples)} rows and "
                f"{single[row]} alone: it depends on the rest of a batch, or on chance"
            )
    return ""
