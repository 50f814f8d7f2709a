import numpy as np
import pyarrow as pa

from pipeline.onboarding.leaks import leak

_LABELS = np.array([0, 0, 0, 0, 1] * 40)


def test_column_that_orders_the_labels_is_a_leak():
    amounts = pa.array([float(i % 7 + 10 * label) for i, label in enumerate(_LABELS)])

    assert leak(amounts, _LABELS) == "alone it predicts the label with an AUC of 1.0000"
    assert leak(pa.array([-value.as_py() for value in amounts]), _LABELS) != ""


def test_category_that_repeats_the_label_is_a_leak():
    assert leak(pa.array(["paid" if label else "open" for label in _LABELS]), _LABELS) != ""


def test_strong_feature_is_no_leak():
    # 20 % of the positive rows look like negative ones: AUC 0.8 * 1 + 0.2 * 0.5 = 0.9.
    values = [float(label and i % 25 != 4) for i, label in enumerate(_LABELS)]

    assert leak(pa.array(values), _LABELS) == ""


def test_column_filled_for_one_label_only_is_a_leak_with_its_figure():
    values = [3.5 if label and i % 2 else None for i, label in enumerate(_LABELS)]

    told = leak(pa.array(values, pa.float64()), _LABELS)

    assert told == "it is filled in 20 rows, 100.0% of them with label 1 (of all rows: 20.0%)"


def test_values_of_their_own_are_no_rule():
    # Every row has its own value: what one half of the rows says of them, the other half never sees.
    assert leak(pa.array([f"id-{i}" for i in range(200)]), _LABELS) == ""


def test_few_rows_order_themselves_by_chance():
    labels = np.array([0] * 30 + [1] * 9)

    assert leak(pa.array(np.arange(39.0)), labels) == ""
