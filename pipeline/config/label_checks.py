"""Whether a label can be what the dataset file says, by the schema alone; the readers check what a row holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tensorflow_metadata.proto.v0 import schema_pb2

from models import expressions, label_grammar
from models import label as label_expression
from models.target import Target
from pipeline.config.sections import LabelConfig
from pipeline.errors import ConfigError


def domain_of(column: str | None, schema: schema_pb2.Schema) -> Sequence[str]:
    """Returns the values that a text column may have; none where it may have any, or is not there."""
    for feature in schema.feature:
        if feature.name == column and feature.HasField("string_domain"):
            return list(feature.string_domain.value)
        if feature.name == column:
            return [value for one in schema.string_domain if one.name == feature.domain for value in one.value]
    return []


def check(label: LabelConfig, target: Target, schema: schema_pb2.Schema, where: str, schema_path: Path | None) -> None:
    """Refuses a label or a weight of columns that can never hold one.

    Args:
      where: how messages name the table.

    Raises:
      ConfigError: names the column, its type or domain, and what to write instead.
    """
    for feature in schema.feature:
        here = f"{where}: {feature.name!r}"
        if feature.name in target.weight_columns and feature.type == schema_pb2.BYTES:
            raise ConfigError(f"{here} is text (BYTES) in {schema_path}. The weight is computed from numbers.")
        if feature.name not in target.label_columns:
            continue
        if target.task == "binary":
            _check_binary(label, feature, schema, here, schema_path)
        elif feature.type == schema_pb2.BYTES and (target.task == "regression" or not target.is_column):
            raise ConfigError(
                f"{here} is text (BYTES) in {schema_path}, and the label `{label.text}` of a {target.task} is computed "
                "from numbers. Declare the column INT or FLOAT."
            )
        elif target.task == "multiclass":
            _check_classes(target, feature, schema, here, schema_path)


def _check_classes(
    target: Target, feature: schema_pb2.Feature, schema: schema_pb2.Schema, where: str, schema_path: Path | None
) -> None:
    if feature.type != schema_pb2.BYTES:
        for name in target.classes:
            if not name.lstrip("-").isdecimal():
                raise ConfigError(
                    f"{where} is {_type(feature)} in {schema_path}, and the class {name!r} is no whole number. "
                    "Write whole numbers, or declare the column BYTES."
                )
        return
    values = domain_of(feature.name, schema)
    for name in target.classes:
        if values and name not in values:
            raise ConfigError(
                f"{where}: the class {name!r} is not in its domain in {schema_path}: {', '.join(values)}."
            )


def _check_binary(
    label: LabelConfig, feature: schema_pb2.Feature, schema: schema_pb2.Schema, where: str, schema_path: Path | None
) -> None:
    texts = label_expression.texts(label.text, feature.name)
    read_as = {kind for name, kind in expressions.columns(label_grammar.parse(label.text)) if name == feature.name}
    if feature.type == schema_pb2.BYTES and "number" in read_as:
        raise ConfigError(
            f"{where} is text (BYTES) in {schema_path}. Say which texts count as 1, such as positive = "
            '"Yes", or task = "multiclass", or declare the column INT if it holds 0 and 1.'
        )
    if feature.type != schema_pb2.BYTES and "text" in read_as:
        raise ConfigError(
            f"{where} is {_type(feature)} in {schema_path}, and is compared with text. "
            "Say which numbers count as 1, such as positive = 1, or declare the column BYTES."
        )
    values = domain_of(feature.name, schema)
    for text in texts:
        if values and text not in values:
            raise ConfigError(
                f"{where} is compared with {text!r}, which is not in its domain in {schema_path}: {', '.join(values)}."
            )
    domain = feature.float_domain if feature.type == schema_pb2.FLOAT else feature.int_domain
    if label_expression.is_column(label.text) and (
        (domain.HasField("min") and domain.min < 0) or (domain.HasField("max") and domain.max > 1)
    ):
        raise ConfigError(
            f"{where} has a domain beyond 0 and 1 in {schema_path}, and a binary label holds nothing else. "
            "Say which values count as 1, such as positive = 2, or "
            f"expression = '{label_grammar.column_expression(feature.name)} >= 1', or "
            'task = "regression" or "multiclass".'
        )


def _type(feature: schema_pb2.Feature) -> str:
    return str(schema_pb2.FeatureType.Name(feature.type))
