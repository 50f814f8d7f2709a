"""Uses an image in every way that it is meant for, as `docker run` would."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.image.build import Stage, enter, entering
from benchmarks.pages import REPOSITORY


def docker_run(
    image: Stage, *arguments: str, entrypoint: Sequence[str] | None = None, workdir: str | None = None
) -> str:
    """Does what `docker run IMAGE ARGUMENTS` does, as the image's user; returns standard output.

    Raises:
      RuntimeError: another exit status than 0; carries the last lines.
    """
    command = [*(image.entrypoint if entrypoint is None else entrypoint), *(arguments or image.cmd)]
    done = enter(image, command, workdir=workdir, check=False)
    if done.returncode != 0:
        raise RuntimeError(
            f"{shlex.join(command)}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
        )
    return done.stdout


def checks(image: Stage) -> dict[str, Any]:
    """Uses the image in every way that it is meant for; returns what was seen.

    Raises:
      AssertionError, RuntimeError: it was not what docs/image.md says.
    """
    seen: dict[str, Any] = {}
    python = ("python", "-c")
    seen["user"] = docker_run(image, "id -u", entrypoint=("/bin/sh", "-c")).strip()
    assert seen["user"] == image.user != "0"
    writable = docker_run(image, "find /app -writable -type d", entrypoint=("/bin/sh", "-c"))
    assert writable.split() == ["/app/runs"], writable

    packages = [
        path.parent.name
        for path in sorted(REPOSITORY.glob("*/__init__.py"))
        if path.parent.name not in ("tests", "benchmarks")
    ]
    modules = [*packages, *(path.stem for path in REPOSITORY.glob("*_runner.py"))]
    script = f"import {', '.join(modules)}; import models.training, pipeline.pipeline; print('imported')"
    assert docker_run(image, script, entrypoint=python, workdir="/").split()[-1] == "imported"
    seen["importable_from_anywhere"] = modules

    entry = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
    assert "--executor_class_path" in docker_run(image, "-m", entry, "--help", entrypoint=("python",), workdir="/tmp")
    pool = "apache_beam.runners.worker.worker_pool_main"
    assert "--service_port" in docker_run(image, "-m", pool, "--help", entrypoint=("python",), workdir="/tmp")
    seen["entry_points"] = [entry, pool]

    started = time.monotonic()
    result = json.loads(docker_run(image, "run", "--json"))
    assert (result["result"], result["root"]) == ("pushed", "/app/runs/taxi"), result
    seen["run"] = {
        "seconds": round(time.monotonic() - started),
        "result": result["result"],
        "span": result["span"],
        "auc": round(result["evaluation"]["slices"][0]["value"], 4),
    }
    seen["serve"] = serving(image)
    versions = "import sys, platform, tfx; print(platform.python_version(), platform.libc_ver()[1], tfx.__version__)"
    seen["python"], seen["glibc"], seen["tfx"] = docker_run(image, versions, entrypoint=python).split()[-3:]
    return seen


def serving(image: Stage) -> dict[str, Any]:
    """Starts the model server, waits until the image's health check is content, and ends it with SIGTERM."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    arguments = ["serve", "--model-name", "taxi", "--model-base-path", "/app/runs/taxi/serving/taxi", "--port", port]
    command = entering(image, [*image.entrypoint, *arguments], env={}, workdir=None)
    with subprocess.Popen(command, stdout=sys.stderr, stderr=sys.stderr) as outer:
        try:
            first = wait_for(lambda: Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split())[0]
            uid, gid, _ = image.identity()
            inside = [
                "nsenter",
                "--target",
                first,
                "--mount",
                "--pid",
                "--root",
                f"--setuid={uid}",
                f"--setgid={gid}",
            ]
            variables = [f"{name}={value}" for name, value in image.env.items()]
            health = [*inside, "env", "-i", *variables, *image.healthcheck]
            answers = []

            def healthy() -> bool:
                answers.append(subprocess.run(health, stdout=subprocess.PIPE, text=True, timeout=60).returncode)
                return answers[-1] == 0

            started = time.monotonic()
            wait_for(healthy)
            ready = time.monotonic() - started
            os.kill(int(first), signal.SIGTERM)
            status = outer.wait(60)
        finally:
            outer.kill()
    return {
        "healthy_after_seconds": round(ready),
        "health_checks": sorted(set(answers), reverse=True),
        "status_after_sigterm": status,
    }


def wait_for(condition: Any) -> Any:
    """Returns the first true value of `condition()`.

    Raises:
      TimeoutError: there was none within five minutes.
    """
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.5)
    raise TimeoutError("the image's server did not come to what was waited for")
