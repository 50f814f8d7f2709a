"""Datasets and what becomes of them, as values that a notebook shows. Nothing of the pipeline is imported here."""

from __future__ import annotations

import html
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas

Json = Mapping[str, Any]  # Any: JSON.
_RUNNER = Path(__file__).resolve().parent.parent / "local_runner.py"
_OUTCOMES = (0, 3, 4)
"""Exit statuses of a run that came to its end: done, refused, not blessed. They are results, and no errors."""


class CommandError(Exception):
    """A command failed; the message is its own.

    Attributes:
      status: its exit status, docs/cli.md.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Run:
    """A run of the pipeline, or a look at what it would decide.

    Attributes:
      result: how it ended, in a word: `pushed`, `skipped`, `refused`, `not_blessed`, `explained` and the others of
        docs/pipeline.md.
      verdict: the gate's: `block`, `skip` or `rerun`; None where it had nothing to decide.
      reasons: why, in sentences.
      pushed_version: None where nothing was pushed.
      report: the page of the run; None of one that only explained.
      value: all that `run --json` prints.
    """

    result: str
    span: int
    verdict: Literal["block", "skip", "rerun"] | None
    reasons: tuple[str, ...]
    pushed_version: int | None
    report: Path | None
    value: Json = field(repr=False)

    @property
    def features(self) -> pandas.DataFrame:
        """How far each feature moved, the largest excess over its threshold first; empty where nothing was compared."""
        evidence = (self.value.get("decision") or {}).get("evidence") or {}
        return _frame((evidence.get("drift") or {}).get("features", ()), "feature")

    @property
    def evaluation(self) -> pandas.DataFrame:
        """The candidate beside the live model, overall and by slice; empty where nothing was trained."""
        return _frame((self.value.get("evaluation") or {}).get("slices", ()), "slice")

    @property
    def components(self) -> pandas.DataFrame:
        """What each component did, and its seconds."""
        return _frame(self.value["components"], "node")

    def _repr_html_(self) -> str:
        if self.report is not None and self.report.is_file():
            return _framed(self.report.read_text(encoding="utf-8"))
        said = "".join(f"<li>{html.escape(reason)}</li>" for reason in self.reasons)
        moved = self.features
        table = moved.to_html(max_rows=20) if len(moved) else ""
        verdict = (self.verdict or self.result).upper()
        return f"<p><b>{html.escape(verdict)} span {self.span}</b></p><ul>{said}</ul>{table}"


@dataclass(frozen=True)
class Drift:
    """A span compared with what the live model was trained on, or with another span.

    Attributes:
      against: the name of the other side.
      not_compared: what could not be compared, in sentences.
      value: all that `drift --json` prints.
      picture: the report's own drawing of what moved most, an SVG document; "" where there is nothing to draw.
    """

    span: int
    against: str
    not_compared: tuple[str, ...]
    value: Json = field(repr=False)
    picture: str = field(repr=False)

    @property
    def features(self) -> pandas.DataFrame:
        """How far each feature moved, the largest excess over its threshold first."""
        return _frame(self.value["drift"]["features"], "feature")

    @property
    def moved(self) -> tuple[str, ...]:
        """The features that moved beyond their thresholds."""
        return tuple(item["feature"] for item in self.value["drift"]["features"] if item["moved"])

    def _repr_html_(self) -> str:
        return _framed(self.picture, height=480) if self.picture else str(self.features.to_html(max_rows=20))


@dataclass(frozen=True)
class Dataset:
    """A dataset, and where its runs are.

    Attributes:
      path: its name where it ships, else its folder; as `--dataset` takes it.
      root: where its runs live; None for below its folder.
      data_root: where its spans are; None for where dataset.toml says.
    """

    path: str
    root: Path | None = None
    data_root: str | None = None

    def run(self, span: int | None = None, *, force: bool = False, push: bool = True, quiet: bool = False) -> Run:
        """Runs the pipeline on a span, the newest by default.

        Args:
          force: rerun even where nothing asks for it; broken data still blocks.
          push: False to train, evaluate and report, and push nothing.
          quiet: show no progress.

        Raises:
          CommandError: wrong configuration, a busy root, a component that failed.
        """
        options = [*_option("--span", span), *(["--force"] if force else []), *([] if push else ["--no-push"])]
        return self._run(options, quiet=quiet)

    def explain(self, span: int | None = None) -> Run:
        """Returns what the gate would decide about a span; nothing is recorded. Raises CommandError as `run` does."""
        return self._run([*_option("--span", span), "--explain"], quiet=True)

    def drift(self, span: int | None = None, *, against: int | None = None) -> Drift:
        """Compares a span with the live model's training window, or with another span; nothing is recorded.

        Raises:
          CommandError: no such span, or no model is live and `against` names no span.
        """
        options = [*_option("--span", span), *_option("--against", against)]
        with tempfile.TemporaryDirectory(prefix="driftgate-") as scratch:
            picture = Path(scratch) / "drift.svg"
            try:
                value = self._json("drift", *options, "--plot", str(picture))
            except CommandError as error:
                if "nothing to draw" not in str(error):
                    raise
                value = self._json("drift", *options)
            drawn = picture.read_text(encoding="utf-8") if picture.exists() else ""
        return Drift(value["span"], value["against"], tuple(value["not_compared"]), value, drawn)

    def spans(self) -> pandas.DataFrame:
        """Returns the spans that exist or were processed, and what became of each. Raises CommandError."""
        return _frame(self._json("spans")["spans"], "span")

    def schema_diff(self, span: int | None = None) -> pandas.DataFrame:
        """Returns what a span, the newest by default, holds beyond the curated schema. Raises CommandError."""
        return _frame(self._json("schema", "diff", *_option("--span", span))["beyond"], "column")

    def predict(self, rows: pandas.DataFrame | str | Path, *, version: int | None = None) -> pandas.DataFrame:
        """Returns the rows with the predictions of the live version, or of another one, made offline.

        Args:
          rows: a data frame, or a file of CSV, Parquet or Avro.

        Raises:
          CommandError: nothing has been pushed, or the rows are not what the model takes.
        """
        import pandas

        with tempfile.TemporaryDirectory(prefix="driftgate-") as scratch:
            file, output = Path(scratch) / "rows.parquet", Path(scratch) / "predictions.parquet"
            if isinstance(rows, pandas.DataFrame):
                rows.to_parquet(file, index=False)
            else:
                file = Path(rows).absolute()
            self._json("predict", str(file), "--batch", "--output", str(output), *_option("--version", version))
            return pandas.read_parquet(output)

    def _run(self, options: Sequence[str], *, quiet: bool) -> Run:
        value = self._json("run", *options, quiet=quiet)
        decision = value["decision"] or {}
        reasons = [reason["text"] for reason in decision.get("reasons", ())]
        return Run(
            result=value["result"],
            span=value["span"],
            verdict=decision.get("verdict"),
            reasons=tuple(reasons or filter(None, [value["refusal"]])),
            pushed_version=value["pushed_version"],
            report=Path(value["report"]) if value["report"] else None,
            value=value,
        )

    def _json(self, command: str, *options: str, quiet: bool = True) -> Any:
        words = [command, *options, "--dataset", self.path, *_option("--root", self.root)]
        if command in ("run", "drift", "spans", "schema", "predict"):
            words += _option("--data-root", self.data_root)
        return _call([*words, "--json"], quiet=quiet)


def load(path: str | Path, *, root: str | Path | None = None, data_root: str | Path | None = None) -> Dataset:
    """Returns a dataset: a shipped one by its name, or a folder with a dataset.toml.

    Args:
      root: where its runs live; by default below its folder.
      data_root: where its spans are; by default where dataset.toml says.

    Raises:
      CommandError: there is no such dataset, or its file is wrong.
    """
    given = str(path)
    dataset = Dataset(
        path=os.path.abspath(given) if os.path.exists(given) and os.sep in given else given,
        root=Path(root).absolute() if root is not None else None,
        data_root=str(data_root) if data_root is not None else None,
    )
    _call(["status", "--dataset", dataset.path, *_option("--root", dataset.root), "--json"], quiet=True)
    return dataset


def init(
    file: str | Path,
    *,
    label: str,
    positive: str | Sequence[str] = (),
    time: str | None = None,
    every: Literal["hour", "day", "week", "month", "quarter", "year"] | None = None,
    out: str | Path | None = None,
    force: bool = False,
) -> Dataset:
    """Makes a dataset's folder of a file, and returns the dataset; the file stays as it is.

    Args:
      positive: the label's values that count as 1; needless for pairs such as Yes and No.
      time, every: cut spans by this column.
      out: the folder to write; by default named like the file, here.
      force: replace what an earlier `init` wrote into the folder.

    Raises:
      CommandError: the file or the label cannot be used, or the folder is there and differs.
    """
    values = [positive] if isinstance(positive, str) else list(positive)
    words = [str(file), f"--label={label}", *(f"--positive={value}" for value in values)]
    words += [*_option("--time", time), *_option("--every", every), *_option("--out", out)]
    made = _call(["init", *words, *(["--force"] if force else []), "--json"], quiet=True)
    return Dataset(path=os.path.abspath(made["folder"]))


def _option(name: str, value: object) -> list[str]:
    return [] if value is None else [f"{name}={value}"]


def _call(words: Sequence[str], *, quiet: bool) -> Any:
    """Runs a command and returns the JSON that it prints; its progress goes to standard error."""
    command = [sys.executable, str(_RUNNER), *words]
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "it was asked for"
        reader = threading.Thread(target=_listen, args=(process, said, quiet), daemon=True)
        reader.start()
        try:
            printed = process.stdout.read()
            status = process.wait()
        except KeyboardInterrupt:
            process.terminate()  # The command ends between two steps; nothing is lost.
            process.wait()
            raise
        reader.join()
    value = json.loads(printed) if printed.strip() else None
    if value is None or "error" in value or status not in _OUTCOMES:
        message = "".join(said).strip().rpartition("error: ")[2] or f"it ended with status {status}"
        raise CommandError(value.get("error", message) if isinstance(value, dict) else message, status)
    return value


def _listen(process: subprocess.Popen[str], said: list[str], quiet: bool) -> None:
    assert process.stderr is not None, "it was asked for"
    for line in process.stderr:
        said.append(line)
        if not quiet:
            print(line, end="", file=sys.stderr, flush=True)


def _frame(rows: Sequence[Json], index: str) -> pandas.DataFrame:
    import pandas

    frame = pandas.DataFrame(list(rows))
    return frame.set_index(index) if index in frame else frame


def _framed(page: str, height: int = 640) -> str:
    """Returns a whole page or a drawing as part of a notebook, its styles kept apart from the notebook's."""
    return (
        f'<iframe srcdoc="{html.escape(page)}" sandbox="" loading="lazy" '
        f'style="width: 100%; height: {height}px; border: 0"></iframe>'
    )
