"""A feature that looks at the other rows of its batch is named."""

import pyarrow as pa
import tensorflow as tf

from models.feature_difference import first_difference

ROWS = pa.RecordBatch.from_pydict({"x": [1.0, 3.0]})


def save(folder, transform):
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(examples):
        return transform(tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"])

    tf.saved_model.save(module, str(folder), signatures={"transform_features": transform_features})
    return str(folder)


def test_the_first_feature_that_depends_on_the_batch_is_named(tmp_path):
    model = save(tmp_path, lambda x: {"c": x, "b": x - tf.reduce_mean(x), "d": x - tf.reduce_max(x)})

    # 1 - (1 + 3) / 2 among both, 1 - 1 alone.
    assert first_difference(model, ROWS) == (
        "the transformed feature 'b' of row 0 is -1.0 among 2 rows and 0.0 alone: it depends on the rest of a batch, "
        "or on chance"
    )


def test_features_of_the_row_alone_are_no_difference(tmp_path):
    assert first_difference(save(tmp_path, lambda x: {"c": 2 * x}), ROWS) == ""
