"""A compiled pipeline as a file: a PipelineJob in JSON for Vertex, a PipelineSpec in YAML for Kubeflow's backend."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline import program
from pipeline.errors import ConfigError

Target = Literal["vertex", "kubeflow"]
SUFFIX: dict[Target, str] = {"vertex": ".json", "kubeflow": ".yaml"}

Json = dict[str, Any]  # Any: JSON.


@dataclass(frozen=True, kw_only=True)
class Package:
    """A compiled pipeline.

    Attributes:
      target: the backend it was made for.
      spec: the PipelineSpec, as JSON has it.
      root: where artifacts go; "" where the file leaves it to the backend.
      parameters: values of run-time parameters that the file brings along; Kubeflow's are defaults in `spec`.
      display_name: what Vertex's console shows.
      labels: of the PipelineJob.
    """

    target: Target
    spec: Json
    root: str = ""
    parameters: Json = field(default_factory=dict)
    display_name: str = ""
    labels: Json = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.spec.get("pipelineInfo", {}).get("name", ""))

    def text(self) -> str:
        """Returns the file's content; equal for equal packages, whatever the order of their keys."""
        if self.target == "kubeflow":
            import yaml

            # The root is the submission's business there; an annotation in a comment would be lost on the way.
            return str(yaml.safe_dump(self.spec, sort_keys=True, width=120, allow_unicode=True))
        job = {
            "displayName": self.display_name,
            "labels": self.labels,
            "pipelineSpec": self.spec,
            "runtimeConfig": {"gcsOutputDirectory": self.root, "parameterValues": self.parameters},
        }
        return json.dumps(job, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read(path: Path) -> Package:
    """Reads a compiled file.

    Raises:
      ConfigError: there is no such file, or it is neither of the two.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}. Make it: {program.name('kubeflow_runner.py')} compile."
        ) from error
    if path.suffix in (".yaml", ".yml"):
        import yaml

        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: not valid YAML: {error}.") from error
    else:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"{path}: not valid JSON: {error}.") from error
    if isinstance(value, dict) and "pipelineSpec" in value:
        runtime = value.get("runtimeConfig", {})
        return Package(
            target="vertex",
            spec=value["pipelineSpec"],
            root=runtime.get("gcsOutputDirectory", ""),
            parameters=runtime.get("parameterValues", {}),
            display_name=value.get("displayName", ""),
            labels=value.get("labels", {}),
        )
    if isinstance(value, dict) and "deploymentSpec" in value:
        return Package(target="kubeflow", spec=value, root=value.get("defaultPipelineRoot", ""))
    raise ConfigError(
        f"{path}: neither a PipelineJob (with `pipelineSpec`) nor a PipelineSpec (with `deploymentSpec`). "
        f"Make one: {program.name('kubeflow_runner.py')} compile."
    )
