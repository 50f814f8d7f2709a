"""The loop over folds with contenders that answer at once."""

import numpy as np
import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from models.errors import TrainingError
from models.features import FeatureSpec
from pipeline.errors import DataError
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.selection import scoring
from pipeline.selection.fold_rows import Spans
from pipeline.selection.folds import plan
from pipeline.selection.scoring import Trained

LABELS = {1: [0, 1, 1], 2: [0, 0, 0], 3: [0, 1, 0]}


def score(contender):
    features = FeatureSpec(label="y", numeric=("x",))
    spans = Spans(lambda span: pa.table({"x": [1.0, 2.0, 3.0], "y": LABELS[span]}), features, schema_pb2.Schema())
    return list(scoring.score({"mine": contender}, plan([1, 2, 3], window=1, tested=(2, 3)), spans, EvaluationSpec()))


def test_a_span_of_one_class_has_every_metric_but_those_that_need_two():
    second, third = score(lambda rows: Trained(predictions=np.array([0.2, 0.8, 0.4]), fit_seconds=1.0))

    assert "auc" not in second.fold["mine"].metrics
    # Two of three are below one half, as their labels say.
    assert second.fold["mine"].metrics["binary_accuracy"].value == pytest.approx(2 / 3)
    assert third.fold["mine"].metrics["auc"].value == pytest.approx(1.0)


def test_who_cannot_be_trained_is_named_with_the_spans():
    def contender(rows):
        raise TrainingError("All labels are 0.")

    with pytest.raises(
        DataError, match=r"mine, trained on span 1 to predict span 2: All labels are 0\. Name other spans with --spans"
    ):
        score(contender)
