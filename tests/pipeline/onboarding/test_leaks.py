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


_CLASSES = np.array([0, 1, 2, 2] * 50)
_THREE = ("cat", "dog", "fox")


def test_column_that_names_the_class_is_a_leak():
    names = pa.array([f"code {label}" for label in _CLASSES])

    assert leak(names, _CLASSES, _THREE) == "alone it tells the class of 100.0% of the rows"


def test_column_that_tells_one_class_of_three_is_a_feature():
    # As a petal's length tells one iris from the two others, among which it guesses: two thirds of the rest.
    values = pa.array([float(label == 0) for label in _CLASSES])

    assert leak(values, _CLASSES, _THREE) == ""


def test_rare_classes_that_nobody_tells_make_no_leak():
    labels = np.array(([0] * 994 + [1] * 3 + [2] * 3) * 5)

    # Answering the frequent one is right in 99.4 % of the rows.
    assert leak(pa.array(np.zeros(5_000)), labels, _THREE) == ""


def test_column_filled_for_one_class_is_a_leak():
    values = pa.array(["vet" if label == 1 and i % 8 == 1 else None for i, label in enumerate(_CLASSES)])

    told = leak(values, _CLASSES, _THREE)

    assert told == "it is filled in 25 rows, 100.0% of them with label dog (of all rows: 25.0%)"


def test_number_in_another_unit_is_a_leak():
    minutes = np.random.default_rng(1).normal(20, 9, 500)

    assert leak(pa.array(minutes / 60), minutes, ()) == "alone it predicts the label with an R² of 1.0000"
    assert leak(pa.array(np.exp(-minutes)), minutes, ()) != ""


def test_noisy_number_is_a_feature():
    rng = np.random.default_rng(2)
    carat = rng.normal(size=500)
    # The square of the correlation is 1 / (1 + 0.3 ** 2) = 0.92.
    assert leak(pa.array(carat), carat + 0.3 * rng.normal(size=500), ()) == ""


def test_category_with_a_number_of_its_own_is_a_leak():
    towns = [f"town {i % 5}" for i in range(500)]
    fee = np.array([float(i % 5) ** 2 for i in range(500)])

    assert leak(pa.array(towns), fee, ()).startswith("alone it predicts the label with an R² of 0.999")


def test_column_filled_where_there_is_an_amount_is_a_leak():
    amount = np.where(np.arange(400) % 4 == 0, np.arange(400) + 1.0, 0.0)
    claims = pa.array([f"claim {i}" if value else None for i, value in enumerate(amount)])

    told = leak(claims, amount, ())

    assert told == "it is filled in 100 rows, 100.0% of them with label other than 0 (of all rows: 25.0%)"
