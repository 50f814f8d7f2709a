"""A model server for as long as a `with` block lasts."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from driftgate.calls import CommandError, call_lines, error_in, listen, start

if TYPE_CHECKING:
    import pandas

PORT = 8501
"""TensorFlow Serving's port for REST."""
_LONGEST_END_S = 60.0


class Server:
    """The embedded model server with the live version of a dataset.

        with dataset.serve() as server:
            server.predict(rows)

    Attributes:
      url: of the model, `http://127.0.0.1:8501/v1/models/NAME`, in TensorFlow Serving's REST contract.
    """

    def __init__(self, words: Sequence[str], model: str, base_path: Path, port: int, log_dir: Path | None) -> None:
        """Starts nothing yet; see `Dataset.serve`.

        Args:
          words: `--dataset` and `--root`, for what asks the server.
        """
        self.url = f"http://127.0.0.1:{port}/v1/models/{model}"
        self._words = list(words)
        self._command = ["serve", "--server=embedded", f"--model-name={model}", f"--model-base-path={base_path}"]
        self._command += [f"--port={port}", *([] if log_dir is None else [f"--log-dir={log_dir}"])]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Server:
        """Waits until the model is loaded.

        Raises:
          CommandError: it cannot be, or the port is taken.
        """
        said: list[str] = []
        self._process = start(self._command)
        reader = listen(self._process, said, quiet=True)
        assert self._process.stdout is not None, "it was asked for"
        try:
            for line in self._process.stdout:
                if line.startswith("Serving "):
                    # What comes after has to be read, or the server would wait for it.
                    threading.Thread(target=self._process.stdout.read, daemon=True).start()
                    return self
        except BaseException:  # An interrupt: `with` does not leave what it has not entered.
            self._end()
            raise
        status = self._process.wait()
        reader.join()
        raise CommandError(error_in(said, status), status)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the server; requests that it has taken are answered, and its log is written."""
        self._end()

    def _end(self) -> None:
        assert self._process is not None, "it was entered"
        self._process.terminate()
        try:
            self._process.wait(_LONGEST_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def predict(self, rows: pandas.DataFrame | str | Path) -> pandas.DataFrame:
        """Asks about every row; returns the rows of a data frame with the answers, of a file the answers by row.

        A row that is refused has no answer, and says why in a column `error`.

        Args:
          rows: a data frame, or a file of CSV or JSON lines.

        Raises:
          CommandError: the server does not answer, or the file cannot be read.
        """
        import pandas

        with tempfile.TemporaryDirectory(prefix="driftgate-") as scratch:
            file = Path(scratch) / "rows.jsonl"
            if isinstance(rows, pandas.DataFrame):
                rows.to_json(file, orient="records", lines=True, date_format="iso")
            else:
                file = Path(rows).absolute()
            lines = call_lines(["predict", str(file), f"--url={self.url}", "--json", *self._words])
        answers = pandas.DataFrame(
            [{**line.get("prediction", {}), **({"error": line["error"]} if "error" in line else {})} for line in lines],
            index=pandas.Index([line["row"] for line in lines], name="row"),
        )
        if not isinstance(rows, pandas.DataFrame):
            return answers
        # By place: an index may name several rows alike.
        answered = rows.reset_index(drop=True).join(answers.reset_index(drop=True), rsuffix="_answered")
        return answered.set_axis(rows.index)

    def _repr_html_(self) -> str:
        running = self._process is not None and self._process.poll() is None
        return f"<p>{'Serving at' if running else 'Not running:'} <code>{self.url}</code></p>"
