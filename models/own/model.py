"""`build_model(spec)` of own code, in the place of the network: as many of its models as the ensemble has members.

Loss, optimizer, folds, calibration and signatures stay those of models/fitting.py and models/signatures.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from models.errors import OwnCodeError
from models.own import loading
from models.own.source import BUILD_MODEL, OwnCode
from models.packed import Layout
from models.target import TaskName
from models.training_spec import TrainingSpec

Tensor = Any  # keras' and TensorFlow's have no common type.

_TRIED_ROWS = 2
_NO_LOGITS = ("sigmoid", "softmax")


@dataclass(frozen=True, kw_only=True)
class FeatureInfo:
    """A transformed feature, as `build_model` sees it.

    Attributes:
      dtype: `float32` or `int32`.
      shape: of one row: `()` for a number or an id, `(width,)` for a vector.
      size: of an id, how many different values there are, from `least` on; 0 of anything else, and where an own
        `preprocessing_fn` does not say it.
      least: of an id, its smallest value: 0 but for own ones, such as the -1 of `tft.apply_vocabulary`.
    """

    dtype: str
    shape: tuple[int, ...] = ()
    size: int = 0
    least: int = 0


@dataclass(frozen=True, kw_only=True)
class BuildSpec:
    """What `build_model` is given.

    Attributes:
      features: by name, what the model may take.
      task: binary, multiclass or regression.
      outputs: how many numbers the model answers for each row: 1 logit, a logit of each class, or value, lower and
        upper end, which are standard deviations of the label from its mean.
      hyperparameters: `[training]` of dataset.toml.
      seed: of this member of the ensemble.
    """

    features: Mapping[str, FeatureInfo]
    task: TaskName
    outputs: int
    hyperparameters: TrainingSpec
    seed: int

    def inputs(self) -> dict[str, Any]:  # Any: KerasTensor.
        """Returns a keras.Input for each feature, by name."""
        return {
            name: keras.Input(shape=info.shape, name=name, dtype=info.dtype) for name, info in self.features.items()
        }


def infos(layout: Layout) -> dict[str, FeatureInfo]:
    """Returns what a model may take of packed features."""
    return {
        **{name: FeatureInfo(dtype="float32") for name in layout.floats},
        **{name: FeatureInfo(dtype="float32", shape=(width,)) for name, width in layout.bags.items()},
        **{
            name: FeatureInfo(dtype="float32", shape=() if width == 1 else (width,))
            for name, width in layout.plain.items()
        },
        **{
            name: FeatureInfo(dtype="int32", size=size, least=layout.least.get(name, 0))
            for name, size in layout.ids.items()
        },
    }


def unpack(floats: Tensor, ids: Tensor, layout: Layout) -> dict[str, Tensor]:
    """Returns packed features by name, as `infos` describes them."""
    unpacked = {name: floats[:, column] for column, name in enumerate(layout.floats)}
    start = len(layout.floats)
    for name, width in (*layout.bags.items(), *layout.plain.items()):
        unpacked[name] = floats[:, start] if width == 1 and name in layout.plain else floats[:, start : start + width]
        start += width
    return unpacked | {name: ids[:, column] + layout.least.get(name, 0) for column, name in enumerate(layout.ids)}


@keras.saving.register_keras_serializable("models")
class OwnEnsemble(keras.Model):
    """Outputs of every member, each a model of `build_model`, from packed features.

    Call with (floats, ids) as for `network.Ensemble`; returns (batch, members, outputs).
    """

    def __init__(self, own: OwnCode, layout: Layout, spec: TrainingSpec, task: TaskName, outputs: int) -> None:
        """Builds the members.

        Raises:
          OwnCodeError: `build_model` failed, or what it returned is no model of these features with these outputs.
        """
        super().__init__(name="own_ensemble")
        self.layout, self.spec = layout, spec
        self.members = spec.ensemble_size
        build = loading.function(own, BUILD_MODEL)
        self._models = []
        self._calls: list[Callable[[dict[str, Tensor], bool], Tensor]] = []
        for member in range(spec.ensemble_size):
            seed = spec.seed + member
            keras.utils.set_random_seed(seed)
            described = BuildSpec(features=infos(layout), task=task, outputs=outputs, hyperparameters=spec, seed=seed)
            model = build(described)
            self._models.append(_checked(own, model, described))
        self.built = True

    def set_prior(self, outputs: np.ndarray) -> None:
        """Starts from these outputs where a member ends with a layer that has an offset for each of them."""
        for model in self._models:
            bias = getattr(model.layers[-1] if model.layers else None, "bias", None)
            if bias is not None and tuple(bias.shape) == outputs.shape:
                bias.assign(outputs.astype(np.float32))

    def call(self, inputs: tuple[Tensor, Tensor], training: bool = False) -> Tensor:
        """Outputs, (batch, members, outputs)."""
        features = unpack(*inputs, self.layout)
        return ops.stack([ops.cast(_ask(model, features, training), "float32") for model in self._models], axis=1)


def _checked(own: OwnCode, model: Any, spec: BuildSpec) -> keras.Model:
    """Returns the model, asked once, which also makes the variables of one that makes them late."""
    if not isinstance(model, keras.Model):
        raise OwnCodeError(
            f"{own.entry}: build_model: expected a keras.Model of Keras 3. Received: {type(model).__module__}."
            f"{type(model).__name__}."
        )
    rows = {name: np.zeros((_TRIED_ROWS, *info.shape), info.dtype) for name, info in spec.features.items()}
    asked = loading.call(own, BUILD_MODEL, _ask, model, {n: ops.convert_to_tensor(x) for n, x in rows.items()}, False)
    shape = tuple(getattr(asked, "shape", ()))
    if shape != (_TRIED_ROWS, spec.outputs):
        raise OwnCodeError(
            f"{own.entry}: build_model: expected a model whose output has the shape (rows, {spec.outputs}), as the "
            f"task {spec.task} needs. Received: (rows{', ' if shape[1:] else ','}{', '.join(map(str, shape[1:]))})."
        )
    last = getattr(getattr(model.layers[-1] if model.layers else None, "activation", None), "__name__", "")
    if last in _NO_LOGITS and spec.task != "regression":
        raise OwnCodeError(
            f"{own.entry}: build_model: the last layer has the activation {last}. Leave it out: the model answers "
            "logits, of which loss, calibration and signature make probabilities."
        )
    return model


def _ask(model: keras.Model, features: Mapping[str, Tensor], training: bool) -> Tensor:
    """Calls a model with the features that it declares; one that declares none gets all, by name."""
    declared = getattr(model, "inputs", None)
    if not declared:
        return model(dict(features), training=training)
    absent = sorted({one.name for one in declared} - set(features))
    if absent:
        raise LookupError(
            f"the model takes {', '.join(map(repr, absent))}. The transformed features are: "
            f"{', '.join(sorted(features))}."
        )
    given = {one.name: _like(features[one.name], one) for one in declared}
    struct = model.input
    if isinstance(struct, dict):
        return model({key: given[one.name] for key, one in struct.items()}, training=training)
    if isinstance(struct, list | tuple):
        return model([given[one.name] for one in struct], training=training)
    return model(given[struct.name], training=training)


def _like(x: Tensor, declared: Any) -> Tensor:
    """A feature as a declared input takes it: (rows, 1) where it says so, in its dtype."""
    if len(x.shape) == 1 and len(declared.shape) == 2:
        x = ops.expand_dims(x, 1)
    return ops.cast(x, declared.dtype)
