"""Own code over the small dataset of tests/models/conftest.py."""

import pytest

from models.own import source
from models.own.transform import write_own_graph
from tests.models.conftest import FEATURES, SCHEMA, make_table

TABLE = make_table(40)

PREPROCESSING = """
import tensorflow as tf
import tensorflow_transform as tft


def dense(x, missing):
    return tf.sparse.to_dense(tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1]), missing)[:, 0]


def preprocessing_fn(inputs, config):
    amount = dense(inputs["amount"], 0.0)
    paid = dense(inputs["paid"], 0.0)
    town = dense(inputs["town"], "")
    return {
        "amount": tft.scale_to_0_1(amount),
        "bucket": tft.bucketize(amount, 4),
        "town": tft.compute_and_apply_vocabulary(town, top_k=3),
        "pair": tf.stack([amount, -amount], axis=1),
        "hour": dense(inputs["hour"], 0),
        "tip": paid / (amount + 1.0),
        "paid_in_town": tf.fill(tf.shape(amount), tft.mean(paid)),
        "named": tf.fill(tf.shape(amount), float(len(config["features"]["numeric"]))),
    }
"""


@pytest.fixture(scope="session")
def preprocessing(tmp_path_factory):
    """Code with a `preprocessing_fn` of every kind of output, of which one is the label's."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "model.py").write_text(PREPROCESSING, encoding="utf-8")
    return source.read(folder, "model.py")


@pytest.fixture(scope="session")
def own_transform_dir(preprocessing, tmp_path_factory):
    """What it becomes, analysed on TABLE. Two batches: what is analysed is all rows together."""
    folder = str(tmp_path_factory.mktemp("transform"))
    write_own_graph(preprocessing, FEATURES, SCHEMA, lambda: TABLE.to_batches(max_chunksize=25), folder)
    return folder
