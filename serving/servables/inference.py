"""Computes predict, classify and regress on one loaded model. Knows no transport, no JSON and no messages."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from serving.errors import Code, ServingError, invalid
from serving.servables.loaded_model import DEFAULT_SIGNATURE, LoadedModel, Signature
from serving.values.tensors import FLOAT, STRING, Array, Tensor, dtype_name, strings

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
_EXAMPLES = "inputs"


class Classified(NamedTuple):
    """Answers of a classification.

    Attributes:
      labels: bytes (num_examples, num_classes); None where the signature has no `classes`.
      scores: float32 of the same shape; None where it has no `scores`.
    """

    labels: Array | None
    scores: Array | None


def predict(
    model: LoadedModel, signature_name: str, feeds: Mapping[str, Tensor], output_filter: Sequence[str] = ()
) -> dict[str, Tensor]:
    """Runs a signature on named tensors.

    Args:
      signature_name: "" is the default.
      output_filter: the outputs to compute; all where it is empty.

    Raises:
      ServingError: by the contract's section 15.
    """
    signature = model.signature(signature_name or DEFAULT_SIGNATURE)
    feeds = {**signature.defaults, **feeds}
    if feeds.keys() != signature.inputs.keys():
        extra, missing = sorted(feeds.keys() - signature.inputs.keys()), sorted(signature.inputs.keys() - feeds.keys())
        raise invalid(
            f"input size does not match signature: {len(feeds)}!={len(signature.inputs)} "
            f"len({{{_some(feeds)}}}) != len({{{_some(signature.inputs)}}}). "
            f"Sent extra: {{{_some(extra)}}}. Missing but required: {{{_some(missing)}}}."
        )
    seen: set[str] = set()
    for name in output_filter:
        if name not in signature.outputs:
            raise invalid(f"output tensor alias not found in signature: {name[:64]} Outputs expected to be in the set "
                          f"{{{_some(signature.outputs)}}}.")  # fmt: skip
        if name in seen:
            raise invalid(f"duplicate output tensor alias: {name}")
        seen.add(name)
    return model.run(signature, feeds, tuple(output_filter))


def classify(model: LoadedModel, signature_name: str, examples: Sequence[bytes]) -> Classified:
    """Classifies serialized `tf.Example`s.

    Raises:
      ServingError: the signature does not classify, or what the graph raises.
    """
    signature = _example_signature(model, signature_name, "classification", CLASSIFY)
    outputs = set(signature.outputs)
    if not outputs or not outputs <= {"classes", "scores"}:
        raise invalid(
            f"Expected classification signature outputs to be classes and/or scores. Received: {_some(outputs)}"
        )
    answer = signature(_feed(examples))
    for name, dtype in (("classes", STRING), ("scores", FLOAT)):
        if name in answer:
            _check(answer[name], name, dtype, len(examples), ranks=(2,))
    labels, scores = (answer[name].array if name in answer else None for name in ("classes", "scores"))
    if labels is not None and scores is not None and labels.shape != scores.shape:
        raise invalid(f"classes has the shape {list(labels.shape)}, scores {list(scores.shape)}; expected the same")
    return Classified(labels, scores)


def regress(model: LoadedModel, signature_name: str, examples: Sequence[bytes]) -> Array:
    """Returns one value per serialized `tf.Example`, float32 (num_examples,).

    Raises:
      ServingError: the signature does not regress, or what the graph raises.
    """
    signature = _example_signature(model, signature_name, "regression", REGRESS)
    if set(signature.outputs) != {"outputs"}:
        raise invalid(f"Expected one regression signature output, outputs. Received: {_some(signature.outputs)}")
    answer = signature(_feed(examples))["outputs"]
    _check(answer, "outputs", FLOAT, len(examples), ranks=(1, 2))
    if answer.array.ndim == 2 and answer.array.shape[1] != 1:
        raise invalid(
            f"Expected the output outputs to have the shape [n] or [n, 1]. Received: {list(answer.array.shape)}"
        )
    return answer.array.reshape(-1)


def _example_signature(model: LoadedModel, signature_name: str, what: str, method: str) -> Signature:
    name = signature_name or DEFAULT_SIGNATURE
    if name not in model.definitions:
        raise invalid(f"No signature was found with the name: {name}")
    if model.checks_method_names and (given := model.definitions[name].method_name) != method:
        raise invalid(f"Expected {what} signature method_name to be {method}. Was: {given}")
    signature = model.signature(name)
    if signature.inputs.keys() != {_EXAMPLES}:
        raise invalid(f"Expected one signature input, {_EXAMPLES}. Received: {_some(signature.inputs)}")
    return signature


def _feed(examples: Sequence[bytes]) -> dict[str, Tensor]:
    return {_EXAMPLES: Tensor(STRING, strings(list(examples), (len(examples),)))}


def _check(tensor: Tensor, name: str, dtype: int, size: int, ranks: tuple[int, ...]) -> None:
    if tensor.dtype != dtype:
        raise invalid(f"Expected the output {name} to be {dtype_name(dtype)}. Received: {dtype_name(tensor.dtype)}")
    shape = tensor.array.shape
    if len(shape) not in ranks or shape[0] != size:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"Expected the output {name} to have a batch size of {size}, rank {' or '.join(map(str, ranks))}. "
            f"Received the shape: {list(shape)}",
        )


def _some(names: Iterable[str]) -> str:
    """Returns names as messages list them, the first twenty."""
    listed = sorted(names)
    return ",".join(name[:64] for name in listed[:20]) + (",..." if len(listed) > 20 else "")
