"""What later spans are compared with: the live model's training window, measured once and kept beside the model.

A folder: `arrays.npz`, `statistics.pb` and, written last, `baseline.json` with the other files' hashes, so a folder
without it, or one that does not match it, is not a baseline.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import statistics_pb2

from models.target import Target
from pipeline import files, json_values
from pipeline.gate import joint
from pipeline.gate.bins import FeatureBins
from pipeline.gate.chance import Calibration
from pipeline.gate.distances import Floats
from pipeline.gate.evidence import NotCompared, Origin
from pipeline.gate.performance import Evaluation, SpanResult
from pipeline.gate.policy import SMALLEST_COMPARED
from pipeline.gate.repeats import KnownRows, Usual
from pipeline.gate.yardstick import Yardstick

FORMAT = 1
STATISTICS_FILE = "statistics.pb"
QUANTILE_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
NO_SPAN = -1


class BaselineError(ValueError):
    """A folder that is no baseline, an incomplete or damaged one, or one of another format."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A training window, measured.

    Attributes:
      created_at: seconds since 1970.
      window: the training window's spans, ascending.
      label: the label's expression; also the name of its bins, the last ones.
      bins: frozen bins of each compared feature.
      counts: rows per bin, as `bins.count` lays them out, int64 (total bins,).
      variation: the largest squared distance of a span of the window from the others, chance taken off and no change in
        the window counted; NaN where the window has one span, float64 (features,).
      raised_by: the span that it is the distance of; NO_SPAN where a change was left out, int64 (features,).
      quantiles: of the numeric features, at QUANTILE_LEVELS; NaN for others, float64 (features, levels).
      grid: of the numeric features, quantiles at formats.LEVELS; NaN for others, float64 (features, levels); None where
        an older release measured it.
      decimals: with which they are written, formats.NO_GRID for others, int64 (features,); None with `grid`.
      by_span: rows per bin of each span of the window, int64 (spans, total bins); None without a season.
      calibrated_rows: of the reference that the calibration is for; None for all of `counts`.
      known: the values of each categorical feature, sorted; features with too many are left out.
      label_spans: positive and labelled rows of each span of the window, as it stands there; of all in one where an
        older release measured them.
      calibration: what chance does.
      evaluation: what the model's performance on later spans is held against; None where nothing was measured.
      origin: where that came from; None where it was measured before this was kept, which was out of time.
      span_results: the model on each span of the window that some of its networks were not trained on; empty where
        there is none, or an older release measured it.
      learned: the spans that the network was trained on, where this is a recalibration of it, which was measured on
        other spans; empty for `window`.
      trained_at: when that network went live, seconds since 1970; 0 where this is no recalibration.
      statistics: TFDV's, of the window.
      known_rows: what tells a row of the window again; None where an older release measured it.
      strengths: how well each feature alone tells the label, as an AUC, here or in the windows of the models before,
        float64 (features,); None where an older release measured it.
      sample: rows that tell how its columns go together; None where an older release measured it.
      not_compared: features that no span can be compared on, and why.
      target: what the model predicts; None where it was measured before there were other tasks than binary ones.
    """

    created_at: int
    window: tuple[int, ...]
    label: str
    bins: tuple[FeatureBins, ...]
    counts: npt.NDArray[np.int64]
    variation: Floats
    raised_by: npt.NDArray[np.int64]
    quantiles: Floats
    known: Mapping[str, tuple[str, ...]]
    label_spans: tuple[tuple[int, int], ...]
    calibration: Calibration
    evaluation: Evaluation | None
    statistics: statistics_pb2.DatasetFeatureStatisticsList | None
    not_compared: tuple[NotCompared, ...]
    origin: Origin | None = None
    target: Target | None = None
    known_rows: KnownRows | None = None
    sample: joint.Sample | None = None
    strengths: Floats | None = None
    grid: Floats | None = None
    decimals: npt.NDArray[np.int64] | None = None
    by_span: npt.NDArray[np.int64] | None = None
    calibrated_rows: int | None = None
    span_results: tuple[SpanResult, ...] = ()
    learned: tuple[int, ...] = ()
    trained_at: int = 0

    @functools.cached_property
    def rows(self) -> int:
        """Rows of the training window."""
        first = self.bins[0].size if self.bins else 0
        return int(self.counts[:first].sum())

    @property
    def predicted(self) -> Target:
        """What the model predicts."""
        return self.target or Target(label=self.label)

    @property
    def told(self) -> dict[str, float]:
        """What each feature alone tells of the label, where that was measured."""
        return {} if self.strengths is None else {one.name: s for one, s in zip(self.bins, self.strengths, strict=True)}

    def alike(self, rows: int) -> int:
        """Returns the size at which chance does against the calibrated reference what it does here at `rows` rows."""
        if self.calibrated_rows is None:
            return rows
        return max(int(1 / (1 / rows + 1 / self.rows - 1 / self.calibrated_rows)), SMALLEST_COMPARED)

    @property
    def yardstick(self) -> Yardstick | None:
        """What the model's performance on later spans is held against, and where it came from."""
        if self.evaluation is None:
            return None
        origin = self.origin or Origin(source="out_of_time", span=max(self.window))
        return Yardstick(evaluation=self.evaluation, origin=origin, spans=self.span_results)

    def unseen_share(self, feature: str, table: pa.Table) -> float:
        """Returns the share of a table's rows whose value the training window did not have."""
        if feature not in self.known or feature not in table.column_names or table.num_rows == 0:
            return 0.0
        column = table.column(feature).cast(pa.large_string()).drop_null()
        unseen = pc.invert(pc.is_in(column, value_set=pa.array(self.known[feature], pa.large_string())))
        return float((pc.sum(unseen).as_py() or 0) / table.num_rows)

    def save(self, folder: str) -> None:
        """Writes the baseline; `baseline.json`, written last, makes it one."""
        arrays = io.BytesIO()
        known = self.known_rows
        # Any: numpy takes arrays and flags alike by keyword.
        of_rows: dict[str, Any] = {"row_hashes": known.hashes, "row_spans": known.spans} if known else {}
        if self.sample is not None:
            of_rows |= {f"sample_{f.name}": getattr(self.sample, f.name) for f in dataclasses.fields(joint.Sample)}
        later = {"strengths": self.strengths, "grid": self.grid, "decimals": self.decimals, "by_span": self.by_span}
        of_rows |= {name: array for name, array in later.items() if array is not None}
        np.savez_compressed(
            arrays,
            counts=self.counts,
            variation=self.variation,
            raised_by=self.raised_by,
            quantiles=self.quantiles,
            **of_rows,
            **{f.name: getattr(self.calibration, f.name) for f in dataclasses.fields(Calibration)},
        )
        statistics = self.statistics or statistics_pb2.DatasetFeatureStatisticsList()
        contents = {"arrays.npz": arrays.getvalue(), STATISTICS_FILE: statistics.SerializeToString(deterministic=True)}
        for name, content in contents.items():
            files.write(folder, name, content)
        manifest = {
            "format": FORMAT,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
            "baseline": json_values.to_json_values(dataclasses.asdict(self._manifest())),
        }
        text = json.dumps(manifest, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=1)
        files.write(folder, "baseline.json", text.encode())

    def _manifest(self) -> _Manifest:
        known = tuple(_Known(feature=name, values=values) for name, values in sorted(self.known.items()))
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(_Manifest) if hasattr(self, f.name)}
        usual = self.known_rows and self.known_rows.usual
        return _Manifest(
            **{**plain, "known": known, "has_statistics": self.statistics is not None, "usual_rows": usual}
        )

    @classmethod
    def load(cls, folder: str) -> Baseline:
        """Reads what `save` wrote.

        Raises:
          BaselineError: there is none, it is incomplete or damaged, or of another format; names the file.
        """
        manifest = _read_manifest(folder)
        contents = {}
        for name, digest in manifest["files"].items():
            content = files.read(folder, name)
            if content is None or hashlib.sha256(content).hexdigest() != digest:
                what = "is missing" if content is None else "is not what baseline.json describes"
                raise BaselineError(f"{folder}/{name} {what}: the baseline is damaged. {_REPAIR}")
            contents[name] = content
        try:
            plain = json_values.from_json_values(_Manifest, manifest["baseline"])
            with np.load(io.BytesIO(contents["arrays.npz"]), allow_pickle=False) as arrays:
                loaded = {name: arrays[name] for name in arrays.files}
            # Written before it was kept: the largest distance, whichever span's it was.
            loaded.setdefault("raised_by", np.full(len(plain.bins), NO_SPAN))
            null = Calibration(**{f.name: loaded.pop(f.name) for f in dataclasses.fields(Calibration)})
            rows = {name: loaded.pop(f"row_{name}") for name in ("hashes", "spans") if f"row_{name}" in loaded}
            of_sample = {name: loaded.pop(f"sample_{name}") for name in _IN_SAMPLE if f"sample_{name}" in loaded}
            statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(contents[STATISTICS_FILE])
        except (KeyError, ValueError) as error:
            raise BaselineError(f"{folder}: not a baseline that this program can read: {error}. {_REPAIR}") from error
        values = {f.name: getattr(plain, f.name) for f in dataclasses.fields(_Manifest)}
        has_statistics, positives = values.pop("has_statistics"), values.pop("positives")
        del values["version"]
        usual = values.pop("usual_rows")
        values["known_rows"] = KnownRows(**rows, usual=usual) if usual and rows else None
        values["sample"] = joint.Sample(**of_sample) if of_sample else None
        values["label_spans"] = plain.label_spans or (positives,)
        values["known"] = {item.feature: item.values for item in plain.known}
        return cls(**values, **loaded, calibration=null, statistics=statistics if has_statistics else None)


_IN_SAMPLE = tuple(f.name for f in dataclasses.fields(joint.Sample))
_REPAIR = "Run with --force to train a model with a new baseline."


@dataclass(frozen=True, kw_only=True)
class _Known:
    feature: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Manifest:
    """The part of a baseline that is JSON.

    Attributes:
      version: written by older releases; the folder that a model is pushed to names it.
      positives: of the whole window, where an older release wrote no `label_spans`.
    """

    created_at: int
    window: tuple[int, ...]
    label: str
    bins: tuple[FeatureBins, ...]
    known: tuple[_Known, ...]
    evaluation: Evaluation | None
    not_compared: tuple[NotCompared, ...]
    has_statistics: bool
    origin: Origin | None = None
    target: Target | None = None
    span_results: tuple[SpanResult, ...] = ()
    learned: tuple[int, ...] = ()
    trained_at: int = 0
    label_spans: tuple[tuple[int, int], ...] = ()
    positives: tuple[int, int] = (0, 0)
    usual_rows: Usual | None = None
    version: str = ""


def _read_manifest(folder: str) -> dict[str, dict[str, str]]:
    content = files.read(folder, "baseline.json")
    if content is None:
        raise BaselineError(f"There is no complete baseline in {folder}: baseline.json is missing. {_REPAIR}")
    try:
        manifest = json.loads(content)
        found = manifest["format"]
        if found == FORMAT:
            return {"files": dict(manifest["files"]), "baseline": manifest["baseline"]}
    except (ValueError, KeyError, TypeError) as error:
        raise BaselineError(f"{folder}/baseline.json is damaged: {error!r}. {_REPAIR}") from error
    raise BaselineError(f"{folder}: expected a baseline of format {FORMAT}. Received: {found!r}. {_REPAIR}")
