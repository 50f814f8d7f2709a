"""The compiled files that the tests compare with. `make golden` writes them anew; review the change like code."""

from pathlib import Path

from pipeline.config.dataset import load_dataset
from pipeline.kubeflow import compile
from pipeline.kubeflow.package import SUFFIX, Package, Target

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "kubeflow"
ROOT = "gs://bucket/taxi"


def compiled(target: Target, **changes: object) -> Package:
    """The taxi pipeline as a team would compile it for a bucket."""
    request = {
        "dataset": load_dataset("taxi"),
        "target": target,
        "data_root": f"{ROOT}/data",
        "pipeline_root": ROOT,
        "serving_dir": f"{ROOT}/serving/taxi",
        "state_dir": f"{ROOT}/state",
        "image": "example.org/driftgate:1",
    }
    return compile.compile_pipeline(compile.Request(**{**request, **changes}))  # type: ignore[arg-type]


def path(target: Target) -> Path:
    return FOLDER / f"taxi-{target}{SUFFIX[target]}"


def text(target: Target) -> str:
    """The file's content, but for the hash of `models/`, which changes with every edit there."""
    request = compile.Request(
        dataset=load_dataset("taxi"),
        target=target,
        data_root="",
        pipeline_root="",
        serving_dir="",
        state_dir="",
        image="",
    )
    return compiled(target).text().replace(compile.pipeline_config(request).code_version, "CODE")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for wanted in SUFFIX:
        path(wanted).write_text(text(wanted), encoding="utf-8")
        print(path(wanted))
