"""Datasets, and what can be done with them. Nothing of the pipeline is imported here."""

from __future__ import annotations

import datetime
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from driftgate.calls import CommandError, call, option
from driftgate.results import Drift, Look, Replay, Run, frame
from driftgate.server import PORT, Server

if TYPE_CHECKING:
    import pandas


Span = int | str | datetime.date
"""A span's number; or its day, a date or `2017-12-01`, where spans are days."""


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

    def run(self, span: Span | None = None, *, force: bool = False, push: bool = True, quiet: bool = False) -> Run:
        """Runs the pipeline on a span, the newest by default.

        Args:
          force: rerun even where nothing asks for it; broken data still blocks.
          push: False to train, evaluate and report, and push nothing.
          quiet: show no progress.

        Raises:
          CommandError: wrong configuration, a busy root, a component that failed.
        """
        options = [*option("--span", span), *(["--force"] if force else []), *([] if push else ["--no-push"])]
        return self._run(options, quiet=quiet)

    def explain(self, span: Span | None = None) -> Run:
        """Returns what the gate would decide about a span; nothing is recorded. Raises CommandError as `run` does."""
        return self._run([*option("--span", span), "--explain"], quiet=True)

    def drift(self, span: Span | None = None, *, against: Span | None = None) -> Drift:
        """Compares a span with the live model's training window, or with another span; nothing is recorded.

        Raises:
          CommandError: no such span, or no model is live and `against` names no span.
        """
        options = [*option("--span", span), *option("--against", against)]
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
        return frame(self._json("spans")["spans"], "span")

    def schema_diff(self, span: Span | None = None) -> pandas.DataFrame:
        """Returns what a span, the newest by default, holds beyond the curated schema. Raises CommandError."""
        return frame(self._json("schema", "diff", *option("--span", span))["beyond"], "column")

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
            self._json("predict", str(file), "--batch", "--output", str(output), *option("--version", version))
            return pandas.read_parquet(output)

    def replay(
        self, spans: str | None = None, *, compare: bool = False, root: str | Path | None = None, quiet: bool = False
    ) -> Replay:
        """Plays the spans in order on a fresh root, as if each had just come.

        Args:
          spans: `5-9`, or `2017-11-30..2017-12-02` where spans are days; all by default.
          compare: play other policies beside the gate's too.
          root: the fresh root; by default beside this dataset's own, with `-replay` behind its name.
          quiet: show no progress.

        Raises:
          CommandError: the root is there already, or a span cannot be read.
        """
        words = ["replay", "--dataset", self.path, *option("--root", root), *option("--data-root", self.data_root)]
        words += [*option("--spans", spans), *(["--compare"] if compare else [])]
        value = call([*words, "--json"], quiet=quiet)
        return Replay(Path(value["report"]) if value["report"] else None, value)

    def serve(self, *, port: int = PORT, log_dir: str | Path | None = None) -> Server:
        """Returns a model server of the live version, for a `with` block; it listens on this machine only.

        Args:
          log_dir: where requests and answers are kept, for `monitor`.

        Raises:
          CommandError: nothing has been pushed.
        """
        status = self._json("status")
        if status["live_version"] is None:
            raise CommandError(f"Nothing has been pushed to {status['serving']}. Call run() first.", 2)
        log = Path(log_dir).absolute() if log_dir is not None else None
        words = ["--dataset", self.path, *option("--root", self.root)]
        return Server(words, Path(status["serving"]).name, Path(status["serving"]), port, log)

    def monitor(self, log_dir: str | Path, *, labels: str | Path | None = None, judge_open: bool = False) -> Look:
        """Looks once at what a server was asked, and tells the gate.

        Args:
          log_dir: of the server.
          labels: folder of spans whose labels belong to requests.
          judge_open: judge windows that are not over, too.

        Raises:
          CommandError: there is no such folder, or its files are no request log.
        """
        words = [f"--log-dir={log_dir}", *option("--labels", labels), *(["--judge-open"] if judge_open else [])]
        value = self._json("monitor", "--once", *words)
        return Look(value["new_records"], value)

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
        words = [command, *options, "--dataset", self.path, *option("--root", self.root)]
        if command in ("run", "drift", "spans", "schema", "predict"):
            words += option("--data-root", self.data_root)
        return call([*words, "--json"], quiet=quiet)


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
    call(["status", "--dataset", dataset.path, *option("--root", dataset.root), "--json"], quiet=True)
    return dataset


def init(
    file: str | Path,
    *,
    label: str,
    positive: str | Sequence[str] = (),
    task: Literal["binary", "multiclass", "regression"] | None = None,
    time: str | None = None,
    every: Literal["hour", "day", "week", "month", "quarter", "year"] | None = None,
    out: str | Path | None = None,
    own_model: bool = False,
    force: bool = False,
) -> Dataset:
    """Makes a dataset's folder of a file, and returns the dataset; the file stays as it is.

    Args:
      positive: the label's values that count as 1; needless for pairs such as Yes and No.
      task: what is predicted; by default told from the label's values.
      time, every: cut spans by this column.
      out: the folder to write; by default named like the file, here.
      own_model: write model.py too, a model of your own to edit.
      force: replace what an earlier `init` wrote into the folder.

    Raises:
      CommandError: the file or the label cannot be used, or the folder is there and differs.
    """
    values = [positive] if isinstance(positive, str) else list(positive)
    words = [str(file), f"--label={label}", *(f"--positive={value}" for value in values)]
    words += [*option("--task", task), *option("--time", time), *option("--every", every), *option("--out", out)]
    flags = [*(["--own-model"] if own_model else []), *(["--force"] if force else [])]
    made = call(["init", *words, *flags, "--json"], quiet=True)
    return Dataset(path=os.path.abspath(made["folder"]))
