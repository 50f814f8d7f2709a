"""TensorFlow's C library behind values of every size."""

import gc

import numpy as np
import pytest

from serving.errors import Code, TensorFlowError
from serving.servables import session
from serving.servables.loaded_model import LoadedModel
from serving.values.tensors import FLOAT, INT64, STRING, Tensor, strings


@pytest.fixture(scope="module")
def model(models):
    loaded = LoadedModel(models / "1", timeout_s=1.0)
    yield loaded
    loaded.close()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    "values",
    [[], [b""], [b"a\x00b", b"\x00"], [b"x" * 22], [b"x" * 23], [b"x" * 22, b"y" * 100_000, b""]],
    ids=lambda values: str([len(value) for value in values]),
)
def test_strings_go_through_unchanged(model, monkeypatch, values, packed):
    monkeypatch.setattr(session.library(), "packs_short_strings", packed)

    outputs = model.signature("same_string")({"v": Tensor(STRING, strings(values, (len(values),)))})

    assert outputs["out"].array.tolist() == values
    gc.collect()
    assert not session._LONG_STRINGS, "TensorFlow has given back what it was lent"


def test_arrays_of_any_layout_and_shape_go_through_unchanged(model):
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)

    outputs = model.signature("same_float32")({"v": Tensor(FLOAT, array)})

    np.testing.assert_array_equal(outputs["out"].array, array)
    assert model.signature("same_float32")({"v": Tensor(FLOAT, np.zeros((0, 3), np.float32))})["out"].array.shape == (
        0,
        3,
    )


def test_an_error_keeps_tensorflows_code_and_text(model):
    with pytest.raises(TensorFlowError, match="division by zero") as caught:
        model.signature("divide")({"i": Tensor(3, np.array([0], np.int32))})

    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_run_beyond_the_time_is_cancelled(model):
    with pytest.raises(TensorFlowError) as caught:
        model.signature("count")({"n": Tensor(INT64, np.array(10**12))})

    assert caught.value.code is Code.DEADLINE_EXCEEDED


def test_a_broken_savedmodel_is_an_error(models):
    with pytest.raises(TensorFlowError):
        LoadedModel(models / "3")
