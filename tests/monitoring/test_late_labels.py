"""Labels by key: what they count for, and what they cannot tell."""

import numpy as np

from monitoring.late_labels import LabelFolder, SpanLabels, lookup
from pipeline.config.dataset import load_dataset
from pipeline.config.schema import read_schema
from tests.helpers import task_datasets


def span(number, **labels):
    keys = np.array(sorted(int(key[1:]) for key in labels))
    return SpanLabels(span=number, keys=keys, labels=np.array([labels[f"k{key}"] for key in keys]))


def test_each_request_gets_the_label_of_its_key():
    labels, weights = lookup(np.array([3, 1, 2]), [span(5, k1=1, k2=0)], (1, 2))

    assert labels.tolist() == [-1, 1, 0]
    assert weights is None


def test_a_request_that_came_twice_counts_once():
    assert lookup(np.array([1, 1]), [span(5, k1=1)], ())[0].tolist() == [1, -1]


def test_labels_that_contradict_each_other_tell_nothing():
    assert lookup(np.array([1, 2]), [span(5, k1=1, k2=1), span(6, k1=0)], ())[0].tolist() == [-1, 1]


def test_labels_of_spans_that_the_version_was_trained_on_do_not_count():
    assert lookup(np.array([1, 2]), [span(4, k1=1), span(5, k2=1)], (3, 4))[0].tolist() == [-1, 1]


def test_weights_come_with_the_labels():
    weighted = SpanLabels(span=5, keys=np.array([1, 2]), labels=np.array([2.5, -1.0]), weights=np.array([3.0, 0.5]))

    labels, weights = lookup(np.array([2, 7, 1]), [weighted], ())

    np.testing.assert_array_equal(labels, [-1.0, np.nan, 2.5])
    assert weights.tolist() == [0.5, 1.0, 3.0]


def test_labels_are_read_again_where_the_dataset_s_label_is_another(tmp_path):
    folder = task_datasets.write(tmp_path / "multiclass", "multiclass", spans=1)

    def labels():
        dataset = load_dataset(str(folder))
        spans = LabelFolder(str(folder / "spans"), tmp_path / "cache", dataset, read_schema(dataset.schema_path))
        return spans.read(0)[0].labels

    before, again = labels(), labels()
    path = folder / "dataset.toml"
    path.write_text(
        path.read_text().replace("[features]", 'classes = ["late", "not at all", "on time"]\n[features]', 1)
    )
    other_way = labels()

    np.testing.assert_array_equal(before, again)
    # The schema's order was: on time, late, not at all.
    known = before >= 0
    assert known.any()
    np.testing.assert_array_equal(other_way[known], np.array([2, 0, 1])[before[known]])
