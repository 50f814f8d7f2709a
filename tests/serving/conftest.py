"""A live server over small SavedModels built once."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import saved_models
from tests.helpers.model_server import Server, start, stop

# The tables of the contract are asked of the real server too, where it is installed.
SERVERS = ["embedded", *(["tensorflow"] if shutil.which("tensorflow_model_server") else [])]


def publish(models: Path, base_path: Path, version: int, source: int | None = None) -> None:
    """As the Pusher does: under a non-numeric name, then one rename."""
    shutil.copytree(models / str(source or version), base_path / f".pushing-{version}")
    (base_path / f".pushing-{version}").rename(base_path / str(version))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions to copy from: 1 and 2 are good (y = 2 x and y = 3 x), 3 is broken."""
    folder = tmp_path_factory.mktemp("models")
    saved_models.save(folder / "1", 2.0)
    saved_models.save(folder / "2", 3.0, "serving_default", "count")
    (folder / "3").mkdir()
    (folder / "3" / "saved_model.pb").write_bytes(b"not a graph")
    return folder


@pytest.fixture(scope="session", params=SERVERS)
def server(request, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of version 1, shared by tests that only ask."""
    base_path = tmp_path_factory.mktemp("served")
    shutil.copytree(models / "1", base_path / "1")
    running = start(base_path, "--cors", kind=request.param)
    yield running
    assert stop(running) in (0, -signal.SIGTERM)
