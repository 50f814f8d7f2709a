"""Features that are no column of a span: parts of dates and derived columns, added to a flat table."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from models import expressions
from models.expression_values import arrow_column
from models.expressions import Column
from models.features import FeatureSpec
from models.kinds import Feature


def sources(feature: Feature) -> frozenset[str]:
    """Returns the columns that a feature is computed from."""
    return frozenset(name for name, _ in expressions.columns(feature.value))


def excluded(features: FeatureSpec, exclude: Collection[str]) -> frozenset[str]:
    """Returns the features that the gate does not compare: those named, and those of named columns alone."""
    return frozenset(one.name for one in features.encoded if one.name in exclude or sources(one) <= {*exclude})


def with_features(table: pa.Table, features: FeatureSpec) -> pa.Table:
    """Returns the table with a column for each compared feature that is none; one whose columns are absent is left out.

    The transform graph computes the same by the same definition.
    """
    for feature in features.encoded:
        computed = feature.is_compared and not isinstance(feature.value, Column)
        if computed and feature.name not in table.column_names and sources(feature) <= set(table.column_names):
            table = table.append_column(feature.name, arrow_column(feature.value, table, features.date_formats))
    return table
