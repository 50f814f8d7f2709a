"""One look at the request log: keeps new requests, judges the windows that are over, and tells the gate."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from models import thresholds
from models.target import is_known
from monitoring import log_files, predictions, request_key, window_report
from monitoring.judge_window import Version, judge
from monitoring.late_labels import LabelFolder, SpanLabels, lookup
from monitoring.log_files import NewRecords
from monitoring.request_rows import KEY, Decoder, Place, RowFormat
from monitoring.store import Progress, Store, added
from monitoring.window_report import WindowReport
from pipeline import files
from pipeline.config.dataset import Dataset
from pipeline.config.schema import read_schema
from pipeline.errors import RootBusyError
from pipeline.gate import serving_evidence
from pipeline.gate.baseline import Baseline, BaselineError
from pipeline.gate.settings import Settings
from pipeline.state.root import Root
from pipeline.state.version_folder import BASELINE_FOLDER, pushed_versions

logger = logging.getLogger(__name__)

_CHUNK = 5_000
DAMAGED_FILE = "damaged_file"
LOOKED = "looked.json"
"""When the monitor last looked, and how often it means to."""
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Look:
    """The result of a look.

    Attributes:
      progress: what was read and counted since the monitor first ran.
      new_records: records that this look read.
      judged: the windows that this look judged; reports: all of them, the oldest first.
      waiting: rows by window and version that are not judged: the window is not over, or has too few rows.
      evidence: what the gate is told; None where no window of the live version was judged.
      label_faults: why spans of labels could not be read.
    """

    progress: Progress
    new_records: int
    judged: tuple[WindowReport, ...]
    reports: tuple[WindowReport, ...]
    waiting: dict[Place, int]
    evidence: serving_evidence.ServingEvidence | None
    label_faults: tuple[str, ...] = ()


class Monitor:
    """Owns the folder `monitoring` of one root; `locked` keeps two monitors apart."""

    def __init__(
        self, dataset: Dataset, root: Root, log_dir: Path, labels_root: str | None, *, judge_open: bool = False
    ) -> None:
        """Prepares the monitor.

        Args:
          labels_root: folder of spans with labels; None to watch without.
          judge_open: judge windows that are not over, too.
        """
        assert dataset.schema_path is not None, "the command has asked for a schema"
        self._dataset, self._root, self._log_dir, self._judge_open = dataset, root, log_dir, judge_open
        schema = read_schema(dataset.schema_path)
        self._format = RowFormat(
            model=dataset.serving.model_name,
            schema=schema,
            features=dataset.features,
            key=request_key.key_columns(dataset.monitoring.key, dataset.features),
            serving_dir=root.serving(dataset.serving.model_name),
            window_seconds=dataset.monitoring.window_seconds,
        )
        self._settings = Settings(features=dataset.features, policy=dataset.gate, slices=dataset.evaluation.slices)
        self._store = Store(root.monitoring)
        self._reports = root.monitoring / "reports"
        self._labels = (
            LabelFolder(labels_root, root.monitoring / "labels", dataset, schema) if labels_root is not None else None
        )
        self._versions: dict[int, Version] = {}

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process; the lock dies with it.

        Raises:
          RootBusyError: another monitor holds it.
        """
        self._root.monitoring.mkdir(parents=True, exist_ok=True)
        with (self._root.monitoring / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RootBusyError(
                    f"Another monitor is at work on {self._root.monitoring}. Stop it, or name another --root."
                ) from error
            yield

    def look(self, now: float, interval_seconds: float = SECONDS_PER_DAY) -> Look:
        """Reads the new records, judges the windows that are over, and writes the evidence for the gate.

        Args:
          now: seconds since 1970.
          interval_seconds: until the next look, as far as is known; who waits much longer knows that it is missing.
        """
        self._versions.clear()  # A version may have been pushed or removed since.
        new_records, progress = self._read_log(now)
        judged, waiting = self._judge(progress, now)
        self._store.remove_before(now - self._dataset.monitoring.keep_days * SECONDS_PER_DAY)
        reports = window_report.read_all(self._reports)
        evidence = self._tell_gate(reports)
        looked = json.dumps({"looked_at": round(now), "interval_seconds": interval_seconds})
        files.write(str(self._root.monitoring), LOOKED, looked.encode())
        return Look(
            progress=progress,
            new_records=new_records,
            judged=tuple(judged),
            reports=tuple(reports),
            waiting=waiting,
            evidence=evidence,
            label_faults=tuple(self._labels.faults) if self._labels is not None else (),
        )

    def _read_log(self, now: float) -> tuple[int, Progress]:
        """Returns how many records were new, and the progress with them."""
        before = self._store.progress()
        if not self._log_dir.is_dir():
            logger.warning("There is no request log at %s.", self._log_dir)
            return 0, before
        progress, decoder, read = before, Decoder(self._format), 0
        read_files = {}
        with self._store.batch() as batch:
            for path in log_files.find(self._log_dir):
                name = log_files.name_of(path, self._log_dir)
                try:
                    records = NewRecords(path, before.files.get(name), now)
                    stream = iter(()) if records.nothing_new else iter(records)
                    while chunk := list(islice(stream, _CHUNK)):
                        decoded = decoder.decode(chunk, records.written_at)
                        batch.write(decoded.tables)
                        progress = progress.with_decoded(decoded)
                        read += len(chunk)
                except OSError as error:  # Removed, or not ours to read: the others count all the same.
                    logger.warning("%s was not read: %s", path, error)
                    continue
                read_files[name] = records.progress
                if records.progress.damaged and not (name in before.files and before.files[name].damaged):
                    progress = dataclasses.replace(progress, dropped=added(progress.dropped, {DAMAGED_FILE: 1}))
        oldest = now - self._dataset.monitoring.keep_days * SECONDS_PER_DAY
        windows = {place: rows for place, rows in progress.windows.items() if place[0] >= oldest}
        progress = dataclasses.replace(progress, files=read_files, windows=windows)
        if progress != before:
            self._store.commit(progress)
        return read, progress

    def _judge(self, progress: Progress, now: float) -> tuple[list[WindowReport], dict[Place, int]]:
        """Judges every window that is over and has new rows or new labels; a small one counts with the next."""
        labels = self._read_labels(progress)
        existing = {(report.end, report.version): report for report in window_report.read_all(self._reports)}
        judged, waiting = [], {}
        for number in sorted({version for _, version in progress.windows}):
            pending: list[Place] = []
            for place in sorted(place for place in progress.windows if place[1] == number):
                end = place[0] + self._format.window_seconds
                pending.append(place)
                rows = sum(progress.windows[item] for item in pending)
                if (end > now and not self._judge_open) or rows < self._settings.policy.min_rows:
                    continue
                report = self._report(pending, end, rows, number, labels, existing.get((end, number)))
                if report is not None:
                    judged.append(report)
                pending = []
            waiting.update({place: progress.windows[place] for place in pending})
        return judged, waiting

    def _report(
        self,
        places: Sequence[Place],
        end: int,
        rows: int,
        number: int,
        labels: Sequence[SpanLabels],
        existing: WindowReport | None,
    ) -> WindowReport | None:
        """Judges one window; returns None where nothing has come since it was judged."""
        unchanged = existing is not None and existing.rows == rows
        if unchanged and not labels:
            return None
        table = self._store.read(places, self._format.rows_schema())
        version = self._version(number)
        window = version.baseline.window if version.baseline else ()
        labels_of_rows, weights = lookup(table.column(KEY).to_numpy(), labels, window)
        labelled = int(np.count_nonzero(is_known(labels_of_rows)))
        before = existing.performance.labelled if existing is not None and existing.performance else 0
        if unchanged and labelled == before:
            return None
        period = (places[0][0], end)
        report, statistics = judge(
            table, labels_of_rows, weights, period, version, self._format.features_schema(), self._settings
        )
        window_report.write(self._reports, report, statistics.SerializeToString())
        for alert in report.alerts:
            logger.warning("Version %d, %s", number, alert.text)
        return report

    def _read_labels(self, progress: Progress) -> list[SpanLabels]:
        if self._labels is None or not progress.windows:
            return []
        windows = [
            version.baseline.window
            for version in (self._version(number) for number in {number for _, number in progress.windows})
            if version.baseline is not None
        ]
        return self._labels.read(after=min((max(window, default=0) for window in windows), default=0))

    def _version(self, number: int) -> Version:
        """Returns the baseline and the predictions of a version; reads them once in a look."""
        if number not in self._versions:
            self._versions[number] = self._load_version(number)
        return self._versions[number]

    def _load_version(self, number: int) -> Version:
        if number == 0:
            return Version(number=0, baseline=None, why_no_baseline="the log does not name it")
        folder = self._format.serving_dir / str(number)
        if not folder.is_dir():
            return Version(number=number, baseline=None, why_no_baseline=f"there is no folder {folder}")
        try:
            baseline = Baseline.load(str(folder / BASELINE_FOLDER))
        except BaselineError as error:
            return Version(number=number, baseline=None, why_no_baseline=str(error))
        target = self._dataset.features.target
        at_push = predictions.reference(folder / BASELINE_FOLDER, self._settings.policy, target)
        return Version(number=number, baseline=baseline, predictions=at_push, thresholds=thresholds.read(str(folder)))

    def _tell_gate(self, reports: Sequence[WindowReport]) -> serving_evidence.ServingEvidence | None:
        """Writes the findings of the newest window of the live version; labels may belong to an earlier window."""
        live = pushed_versions(self._format.serving_dir)
        own = [report for report in reports if live and report.version == live[-1]]
        if not own:
            return None
        newest = own[-1]
        labelled = next((report for report in reversed(own) if report.performance), None)
        alerts = [alert for alert in newest.alerts if alert.kind != "performance"]
        alerts += [alert for alert in labelled.alerts if alert.kind == "performance"] if labelled else []
        evidence = serving_evidence.ServingEvidence(
            version=str(newest.version), start=newest.start, end=newest.end, rows=newest.rows, alerts=tuple(alerts)
        )
        serving_evidence.write(str(self._root.state), evidence)
        return evidence
