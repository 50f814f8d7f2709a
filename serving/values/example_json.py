"""The examples of classify and regress requests: JSON objects to serialized `tf.Example`s.

The kind of each JSON value decides the feature's kind: there is no conversion to the type that the graph parses.
"""

from typing import Any

from tensorflow.core.example import example_pb2, feature_pb2

from serving.errors import invalid
from serving.values.json_reader import Document, Json, quoted
from serving.values.json_tensor import decode_b64

_MAX_INT64 = 2**63 - 1


def decode(document: Document) -> list[bytes]:
    """Returns one serialized example per element of `examples`, the features of `context` first.

    Raises:
      ServingError: 400, by the contract's rules.
    """
    body, nan = document
    context = body.get("context", {})
    if not isinstance(context, dict):
        raise invalid(f"'context' must be an object. Received: {quoted(context)}")
    examples = body.get("examples")
    if not isinstance(examples, list):
        raise invalid(
            "'examples' must be a list of objects. "
            + (f"Received: {quoted(examples)}" if "examples" in body else "It is missing.")
        )
    if not examples:
        raise invalid("'examples' is empty: at least one example is expected")
    shared = _features(context, nan)
    serialized = []
    for number, example in enumerate(examples):
        if not isinstance(example, dict):
            raise invalid(f"Example {number} must be an object. Received: {quoted(example)}")
        features = {**shared, **_features(example, nan)}
        serialized.append(
            example_pb2.Example(features=feature_pb2.Features(feature=features)).SerializeToString(deterministic=True)
        )
    return serialized


def _features(values: dict[str, Json], nan: bool) -> dict[str, Any]:  # Any: the generated messages are untyped.
    return {_utf8(name): _feature(name, value, nan) for name, value in values.items()}


def _feature(name: str, value: Json, nan: bool) -> Any:
    items = value if isinstance(value, list) else [value]
    kinds = {_kind(name, item, nan) for item in items}
    if len(kinds) > 1:
        raise invalid(f"The feature {name[:64]!r} mixes {' and '.join(sorted(kinds))}")
    if not kinds:
        return feature_pb2.Feature()
    (kind,) = kinds
    if kind == "bytes":
        data = [
            item.encode("utf-8", "surrogateescape") if isinstance(item, str) else decode_b64(item["b64"])
            for item in items
        ]
        return feature_pb2.Feature(bytes_list=feature_pb2.BytesList(value=data))
    if kind == "integers":
        return feature_pb2.Feature(int64_list=feature_pb2.Int64List(value=map(int, items)))
    floats = [float("nan") if item is None else _float32(item) for item in items]
    return feature_pb2.Feature(float_list=feature_pb2.FloatList(value=floats))


def _kind(name: str, item: Json, nan: bool) -> str:
    if isinstance(item, bool):
        return "integers"
    if isinstance(item, int):
        if item > _MAX_INT64:
            raise invalid(f"The value {item} of the feature {name[:64]!r} does not fit into int64")
        return "integers"
    if isinstance(item, float) or (item is None and nan):
        return "floats"
    if isinstance(item, str) or (isinstance(item, dict) and len(item) == 1 and isinstance(item.get("b64"), str)):
        return "bytes"
    raise invalid(f"The feature {name[:64]!r} cannot hold the JSON value {quoted(item)}")


def _float32(value: float) -> float:
    """Returns the value where float32 can hold it, else the infinity of its sign."""
    if abs(value) <= 3.4028235677973366e38:  # Halfway between the largest float32 and the next power of two.
        return value
    return value if value != value else float("inf") if value > 0 else float("-inf")


def _utf8(name: str) -> str:
    """Refuses a name that a protocol buffer cannot hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise invalid("A feature's name is not valid UTF-8") from None
    return name
