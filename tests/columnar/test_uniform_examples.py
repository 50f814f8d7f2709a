import pyarrow as pa
import pytest
import tensorflow as tf
from google.protobuf import text_format

from columnar import uniform_examples


def records(*texts):
    """Serializes examples; protobuf sorts features by name, so that all have one form."""
    return [
        text_format.Parse("features {" + text + "}", tf.train.Example()).SerializeToString(deterministic=True)
        for text in texts
    ]


def integer(name, value):
    return f'feature {{ key: "{name}" value {{ int64_list {{ value: {value} }} }} }}'


def floating(name, value):
    return f'feature {{ key: "{name}" value {{ float_list {{ value: {value} }} }} }}'


def text(name, value):
    return f'feature {{ key: "{name}" value {{ bytes_list {{ value: "{value}" }} }} }}'


def missing(name):
    return f'feature {{ key: "{name}" value {{}} }}'


def test_every_type_and_missing_values():
    batch = uniform_examples.decode(
        records(
            integer("i", -1) + floating("f", 0.5) + text("s", "abc") + missing("n"),
            missing("i") + missing("f") + missing("s") + missing("n"),
            integer("i", 300) + floating("f", "inf") + text("s", "") + missing("n"),
        )
    )

    assert batch.to_pydict() == {
        "f": [0.5, None, float("inf")], "i": [-1, None, 300], "n": [None, None, None], "s": [b"abc", None, b""],
    }  # fmt: skip
    assert [field.type for field in batch.schema] == [pa.float32(), pa.int64(), pa.null(), pa.large_binary()]


@pytest.mark.parametrize("value", [0, 1, 127, 128, 2**14 - 1, 2**14, 2**35, 2**63 - 1, -1, -(2**63)])
def test_integers_of_every_length(value):
    assert uniform_examples.decode(records(integer("i", value), integer("i", 5)))["i"].to_pylist() == [value, 5]


@pytest.mark.parametrize("length", [0, 1, 117, 118, 119, 120, 127, 128, 16_300, 16_384, 2_097_152])
def test_texts_of_every_length_beside_short_ones(length):
    values = ["x" * length, "y", "x" * length]

    batch = uniform_examples.decode(records(*(text("s", value) + integer("t", 7) for value in values)))

    assert batch["s"].to_pylist() == [value.encode() for value in values]
    assert batch["t"].to_pylist() == [7, 7, 7]


def test_only_the_wanted_columns():
    batch = uniform_examples.decode(records(integer("a", 1) + text("b", "x") + floating("größe", 2)), ["größe"])

    assert batch.to_pydict() == {"größe": [2.0]}


# Anything but the one form is left to the general decoder, never decoded to something else.
OTHERS = {
    "an empty list": records(integer("i", 1), 'feature { key: "i" value { int64_list {} } }'),
    "two integers": records(integer("i", 1), 'feature { key: "i" value { int64_list { value: 1 value: 2 } } }'),
    "two floats": records('feature { key: "f" value { float_list { value: 1 value: 2 } } }'),
    "two texts": records('feature { key: "s" value { bytes_list { value: "a" value: "b" } } }'),
    "two types": records(integer("i", 1), floating("i", 1)),
    "another column": records(integer("i", 1), integer("j", 1)),
    "another order": [records(integer("a", 1) + integer("b", 2))[0], b"\x0a\x18" + b"".join(
        b"\x0a\x0a\x0a\x01" + name + b"\x12\x05\x1a\x03\x0a\x01\x01" for name in (b"b", b"a"))],
    "a column too few": records(integer("a", 1) + integer("b", 2), integer("a", 1)),
    "a column too many": records(integer("a", 1), integer("a", 1) + integer("b", 2)),
    "no features": [b"", b""],
    "one without features": [*records(integer("i", 1)), b""],
    "not a proto": [b"\xff" * 50],
    "cut off": [records(text("s", "abcdef"))[0][:-2]],
    "a byte too many": [records(text("s", "abcdef"))[0] + b"\x00"],
    "a column twice": [b"\x0a\x18" + b"\x0a\x0a\x0a\x01a\x12\x05\x1a\x03\x0a\x01\x01" * 2],
}  # fmt: skip


@pytest.mark.parametrize("examples", OTHERS.values(), ids=OTHERS)
def test_another_form_is_not_decoded(examples):
    assert uniform_examples.decode(examples) is None


def test_any_single_changed_byte_is_decoded_as_protobuf_does_or_not_at_all():
    good = records(integer("i", 300) + floating("f", 0.5) + text("s", "abc") + missing("n"))[0]
    for position in range(len(good)):
        for change in (0x01, 0x02, 0x10, 0x80, 0xFF):
            changed = good[:position] + bytes([good[position] ^ change]) + good[position + 1 :]
            batch = uniform_examples.decode([good, changed])
            if batch is None:
                continue
            features = tf.train.Example.FromString(changed).features.feature
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                kind = features[name].WhichOneof("kind")
                expected = list(getattr(features[name], kind).value) if kind else [None]
                assert repr(column.to_pylist()[1:]) == repr(expected), (position, change)
