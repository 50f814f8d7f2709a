"""The rows of a fold, read and transformed once for everything that is trained and judged on them."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar.domains import without_impossible
from models.features import FeatureSpec
from models.own.source import PREPROCESSING, OwnCode
from models.target import Target, is_known
from pipeline.errors import DataError
from pipeline.selection.folds import Fold

if TYPE_CHECKING:  # They load TensorFlow.
    from models.packed import Layout, Rows
    from models.transform_graph import TransformGraph

_BATCH_ROWS = 16_384


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A fold's rows as the dataset's own learners take them; vocabularies, means and quantiles are the train rows'."""

    train: Rows
    test: Rows
    layout: Layout
    graph: TransformGraph


@dataclass(frozen=True)
class FoldRows:
    """A fold's labelled rows.

    Attributes:
      train: flat columns of each span that is trained on, without rows that the schema rules out, as in any training.
      test: flat columns of the span that is predicted, as they came.
      labels, weights: of `test`, float64 (rows,).
      folder: for files that last as long as the fold.
      own: the dataset's own code, which may transform the features.
    """

    fold: Fold
    features: FeatureSpec
    schema: schema_pb2.Schema
    train: tuple[tuple[int, pa.Table], ...]
    test: pa.Table
    labels: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    folder: str
    own: OwnCode | None = None

    @functools.cached_property
    def train_rows(self) -> int:
        """The number of rows that are trained on."""
        return sum(table.num_rows for _, table in self.train)

    @functools.cached_property
    def train_table(self) -> pa.Table:
        """All rows that are trained on, oldest first."""
        return pa.concat_tables([table for _, table in self.train])

    def targets(self, table: pa.Table) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Returns labels and weights of rows, float64 (rows,)."""
        return targets(table, self.features.target)

    @functools.cached_property
    def packed(self) -> Packed:
        """The rows behind a transform graph that only the train rows have shaped."""
        from models import training
        from models.transform_graph import TransformGraph

        def batches(span: int, table: pa.Table) -> Iterator[tuple[str, pa.RecordBatch]]:
            return ((str(span), batch) for batch in table.combine_chunks().to_batches(_BATCH_ROWS))

        train = [pair for span, table in self.train for pair in batches(span, table)]
        directory = os.path.join(self.folder, "transform")
        self._transform([batch for _, batch in train], directory)
        graph = TransformGraph(directory, self.features)
        layout, _ = training.packed_layout(self.own, graph, directory)
        return Packed(
            train=training.pack_batches(train, graph, layout),
            test=training.pack_batches(batches(self.fold.span, self.test), graph, layout),
            layout=layout,
            graph=graph,
        )

    def _transform(self, batches: Sequence[pa.RecordBatch], directory: str) -> None:
        """Writes the transform graph of these rows, as Transform does."""
        if self.own is not None and PREPROCESSING in self.own.functions:
            from models.own.transform import write_own_graph

            write_own_graph(self.own, self.features, self.schema, lambda: iter(batches), directory)
            return
        from models.analysis import analyze
        from models.transform_graph import write_transform_graph

        write_transform_graph(analyze(batches, self.features), self.features, self.schema, directory)


class Spans:
    """Reads spans as folds ask for them, each once, and forgets what no later fold needs."""

    def __init__(
        self,
        read: Callable[[int], pa.Table],
        features: FeatureSpec,
        schema: schema_pb2.Schema,
        own: OwnCode | None = None,
    ) -> None:
        """Takes what reads the raw rows of one span as flat columns, typed by the schema."""
        self._read, self._features, self._schema, self._own = read, features, schema, own
        self._tables: dict[int, pa.Table] = {}

    def folds(self, planned: Sequence[Fold]) -> Iterator[Fold]:
        """Yields the folds in order, and forgets the spans before each."""
        for fold in planned:
            first = min(fold.trained_on)
            self._tables = {span: table for span, table in self._tables.items() if span >= first}
            yield fold

    @contextmanager
    def rows(self, fold: Fold) -> Iterator[FoldRows]:
        """Yields a fold's rows.

        Raises:
          DataError: the span has no labels to be judged by, or nothing before it has labels.
        """
        train = [(span, learnable(self._labelled(span), self._schema, self._features)) for span in fold.trained_on]
        train = [(span, table) for span, table in train if table.num_rows]
        if not train:
            raise DataError(
                f"None of the spans {', '.join(map(str, fold.trained_on))} has labels, so nothing can be trained for "
                f"span {fold.span}. Name later spans with --spans."
            )
        test = self._labelled(fold.span)
        if not test.num_rows:
            raise DataError(f"Span {fold.span} has no labels to be judged by. Leave it out with --spans.")
        labels, weights = targets(test, self._features.target)
        with tempfile.TemporaryDirectory(prefix="fold-") as folder:
            yield FoldRows(
                fold=fold,
                features=self._features,
                schema=self._schema,
                train=tuple(train),
                test=test,
                labels=labels,
                weights=weights,
                folder=folder,
                own=self._own,
            )

    def _labelled(self, span: int) -> pa.Table:
        if span not in self._tables:
            self._tables[span] = labelled(self._read(span), self._features.target)
        return self._tables[span]


def labelled(table: pa.Table, target: Target) -> pa.Table:
    """Returns the rows that have a label; none where one of its columns is not there."""
    if any(name not in table.column_names for name in target.columns):
        return table.slice(0, 0)
    labels = np.asarray(target.evaluate({name: table.column(name) for name in target.columns}))
    return table.filter(pa.array(is_known(labels)))


def targets(table: pa.Table, target: Target) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns labels and weights of labelled rows, float64 (rows,)."""
    columns = {name: table.column(name) for name in target.columns}
    return np.asarray(target.evaluate(columns)).astype(np.float64), np.asarray(target.weights(columns), np.float64)


def learnable(table: pa.Table, schema: schema_pb2.Schema, features: FeatureSpec) -> pa.Table:
    """Returns the rows that a training learns from: those without a value that the schema rules out."""
    batches = table.combine_chunks().to_batches()
    kept = [without_impossible(batch, schema, features.columns) for batch in batches]
    return pa.Table.from_batches(kept, table.schema)
