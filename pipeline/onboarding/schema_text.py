"""A curated schema.pbtxt changed in place: a value, a limit or a column more, and every comment where it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.errors import ConfigError

_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[{}<>]|[\w.+-]+|[:,;\[\]]""")


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class _Block:
    """A message in the text: its field's name, where its body begins and ends, and its nesting."""

    name: str
    start: int
    end: int
    depth: int


def add_value(text: str, column: str, value: str) -> str:
    """Returns the text with one value more in a column's closed domain.

    Raises:
      ConfigError: the domain is not written where it can be changed; nothing else is changed.
    """
    schema = _parse(text)
    feature = _feature(schema, column)
    domain, shared = feature.string_domain, None
    if feature.domain:
        shared = next((one for one in schema.string_domain if one.name == feature.domain), None)
        domain = shared if shared is not None else domain
    if not domain.value:
        raise ConfigError(f"{column!r} has no closed domain of texts in the schema, so that any text is allowed.")
    if value in domain.value:
        return text
    block = _domain_block(text, column, shared.name if shared is not None else None)
    last = [token for token in _tokens(text) if block.start <= token.start < block.end and token.text == "value"][-1]
    quoted = next(token for token in _tokens(text) if token.start > last.end and token.text[0] in "\"'")
    between = _separator(text, last.start)
    changed = f"{text[: quoted.end]}{between}value: {_quoted(value)}{text[quoted.end :]}"
    domain.value.append(value)
    return _checked(changed, schema, f"{column}={value}")


def widen(text: str, column: str, value: float) -> str:
    """Returns the text with the column's limit moved to a number outside it.

    Raises:
      ConfigError: the column has no limit that keeps the number out, or it is not written where it can be changed.
    """
    schema = _parse(text)
    feature = _feature(schema, column)
    kind = "int_domain" if feature.type == schema_pb2.INT else "float_domain"
    domain = getattr(feature, kind)
    if feature.type == schema_pb2.INT and value != int(value):
        raise ConfigError(f"{column!r} holds whole numbers (INT). Received: {value:g}.")
    limit = "min" if domain.HasField("min") and value < domain.min else "max"
    if not domain.HasField(limit) or (limit == "max" and value <= domain.max):
        raise ConfigError(f"{value:g} lies within the limits of {column!r} already.")
    number = str(int(value)) if feature.type == schema_pb2.INT else f"{value:.10g}"
    block = next(one for one in _blocks(text) if one.name == kind and _inside(one, _feature_block(text, column)))
    tokens = [token for token in _tokens(text) if block.start <= token.start < block.end]
    position = next(index for index, token in enumerate(tokens) if token.text == limit)
    old = next(token for token in tokens[position + 1 :] if token.text != ":")
    setattr(domain, limit, int(number) if feature.type == schema_pb2.INT else float(number))
    return _checked(text[: old.start] + number + text[old.end :], schema, f"{column}={number}")


def add_column(text: str, column: str, kind: str) -> str:
    """Returns the text with one column more at its end: INT, FLOAT or BYTES, which any row may lack."""
    schema = _parse(text)
    if any(feature.name == column for feature in schema.feature):
        raise ConfigError(f"the schema has a column {column!r} already.")
    schema.feature.add(name=column, type=schema_pb2.FeatureType.Value(kind))
    block = f"feature {{\n  name: {_quoted(column)}\n  type: {kind}\n}}\n"
    return _checked(f"{text.rstrip()}\n{block}", schema, column)


def _parse(text: str) -> schema_pb2.Schema:
    return text_format.Parse(text, schema_pb2.Schema())


def _checked(changed: str, wanted: schema_pb2.Schema, what: str) -> str:
    """Returns the changed text, once it says what it was to say and nothing else."""
    try:
        says = _parse(changed)
    except text_format.ParseError:
        says = schema_pb2.Schema()
    if says != wanted:
        raise ConfigError(f"{what}: the schema is written in a way that only a person can change. Change it by hand.")
    return changed


def _feature(schema: schema_pb2.Schema, column: str) -> schema_pb2.Feature:
    for feature in schema.feature:
        if feature.name == column:
            return feature
    raise ConfigError(f"the schema has no column {column!r}. It has: {', '.join(one.name for one in schema.feature)}.")


def _feature_block(text: str, column: str) -> _Block:
    for block in _blocks(text):
        if block.name == "feature" and block.depth == 0 and _name_in(text, block) == column:
            return block
    raise ConfigError(f"{column!r}: its description was not found in the schema's text. Change it by hand.")


def _domain_block(text: str, column: str, shared: str | None) -> _Block:
    if shared is not None:
        domains = (block for block in _blocks(text) if block.name == "string_domain" and block.depth == 0)
        return next(block for block in domains if _name_in(text, block) == shared)
    outer = _feature_block(text, column)
    return next(block for block in _blocks(text) if block.name == "string_domain" and _inside(block, outer))


def _name_in(text: str, block: _Block) -> str:
    """Returns the `name` of a message, read by protobuf itself: names may be escaped."""
    depth, inner = 0, []
    for token in _tokens(text):
        if not block.start <= token.start < block.end:
            continue
        depth += (token.text in "{<") - (token.text in "}>")
        if depth == 0:
            inner.append(token.text)
    for before, colon, value in zip(inner, inner[1:], inner[2:], strict=False):
        if (before, colon) == ("name", ":"):
            named: schema_pb2.Feature = text_format.Parse(f"name: {value}", schema_pb2.Feature())
            return str(named.name)
    return ""


def _inside(block: _Block, outer: _Block) -> bool:
    return outer.start <= block.start and block.end <= outer.end and block.depth == outer.depth + 1


def _blocks(text: str) -> Iterator[_Block]:
    """Yields every message of the text, inner ones first."""
    opened: list[tuple[str, int]] = []
    before = ""
    for token in _tokens(text):
        if token.text in "{<":
            opened.append((before, token.end))
        elif token.text in "}>":
            name, start = opened.pop()
            yield _Block(name, start, token.start, len(opened))
        if token.text != ":":
            before = token.text


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        if not match[0].startswith("#"):
            yield _Token(match[0], match.start(), match.end())


def _separator(text: str, position: int) -> str:
    """Returns what stands between two values: a line break and the same indent, or a blank where they share a line."""
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return f"\n{line}" if not line.strip() else " "


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'
