"""The backend's memory between rehearsals: artifacts, for resolvers and importers, and results, for the cache."""

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Artifact = dict[str, Any]  # Any: JSON. A RuntimeArtifact: name, uri, type, metadata.
Outputs = dict[str, Any]  # Any: JSON. An ExecutorOutput: artifacts, parameterValues.

_TABLES = """
create table if not exists artifacts (
  id integer primary key, name text unique, title text, uri text, artifact text, run text, task text);
create table if not exists results (key text primary key, outputs text, run text, task text);
create table if not exists runs (id integer primary key, name text unique);
"""


class Store:
    """One SQLite file; a thread may use it while another waits for its task."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._lock = threading.Lock()
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        self._connection.close()

    def new_run(self, pipeline: str) -> str:
        """Returns the name of a run that there has not been."""
        with self._lock, self._connection:
            (number,) = self._connection.execute("select coalesce(max(id), 0) + 1 from runs").fetchone()
            name = f"{pipeline}-{number}"
            self._connection.execute("insert into runs (id, name) values (?, ?)", (number, name))
        return name

    def add(self, artifact: Artifact, title: str, run: str, task: str) -> None:
        """Records an artifact, or what is now known of one recorded before."""
        text = json.dumps(artifact, sort_keys=True)
        with self._lock, self._connection:
            self._connection.execute(
                "insert into artifacts (name, title, uri, artifact, run, task) values (?, ?, ?, ?, ?, ?) "
                "on conflict (name) do update set uri = excluded.uri, artifact = excluded.artifact",
                (artifact["name"], title, artifact["uri"], text, run, task),
            )

    def newest_first(self) -> Sequence[tuple[str, Artifact]]:
        """Returns the title and the artifact of everything recorded, the newest first."""
        with self._lock:
            rows = self._connection.execute("select title, artifact from artifacts order by id desc").fetchall()
        return [(title, json.loads(text)) for title, text in rows]

    def result(self, key: str) -> Outputs | None:
        """Returns what a task with this key came to; None where none has run."""
        with self._lock:
            row = self._connection.execute("select outputs from results where key = ?", (key,)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def remember(self, key: str, outputs: Mapping[str, Any], run: str, task: str) -> None:
        """Records what a task came to, over an older result."""
        with self._lock, self._connection:
            self._connection.execute(
                "insert into results values (?, ?, ?, ?) on conflict (key) do update "
                "set outputs = excluded.outputs, run = excluded.run",
                (key, json.dumps(outputs, sort_keys=True), run, task),
            )
