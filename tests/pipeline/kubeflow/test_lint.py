"""Each rule of the linter on the real compiled pipeline with one thing broken."""

import pytest

from pipeline.errors import ConfigError
from pipeline.kubeflow import lint


def tasks(package):
    return package.spec["root"]["dag"]["tasks"]


def executor(package, task):
    return package.spec["deploymentSpec"]["executors"][f"{task}_executor"]


def dangling_artifact(package):
    tasks(package)["Trainer"]["inputs"]["artifacts"]["base_model"]["taskOutputArtifact"]["producerTask"] = "Nobody"


def dangling_output(package):
    tasks(package)["Trainer"]["inputs"]["artifacts"]["base_model"]["taskOutputArtifact"]["outputArtifactKey"] = "best"


def dangling_parameter(package):
    # What TFX's compiler makes of a parameter that is fed by another task's output.
    source = {"taskOutputParameter": {"producerTask": "LiveModel_task", "outputParameterKey": "version"}}
    tasks(package)["RerunGate"]["inputs"]["parameters"]["state_token"] = source


def missing_parameter(package):
    del tasks(package)["LiveModel"]["inputs"]["parameters"]["serving_dir"]


def missing_artifact(package):
    del tasks(package)["Pusher"]["inputs"]["artifacts"]["model_blessing"]


def wrong_type(package):
    tasks(package)["InfraValidator"]["inputs"]["parameters"]["max_p99_ms"]["runtimeValue"]["constant"] = "fast"


def another_artifact(package):
    source = {"producerTask": "LiveModel", "outputArtifactKey": "baseline"}
    tasks(package)["Trainer"]["inputs"]["artifacts"]["base_model"]["taskOutputArtifact"] = source


def unknown_type(package):
    outputs = package.spec["components"]["RerunGate"]["outputDefinitions"]["artifacts"]
    outputs["comparison"]["artifactType"] = {"schemaTitle": "pipeline.Nothing"}


def no_dependency(package):
    tasks(package)["Pusher"]["dependentTasks"].remove("Evaluator")


def unknown_dependency(package):
    tasks(package)["Pusher"]["dependentTasks"].append("Approval")


def condition_without_input(package):
    tasks(package)["Pusher"]["triggerPolicy"]["condition"] = "inputs.artifacts['x'].artifacts[0].metadata['y'] == 1.0"


def condition_no_cel(package):
    tasks(package)["Pusher"]["triggerPolicy"]["condition"] = "rerun =="


def no_image(package):
    executor(package, "Trainer")["container"]["image"] = ""


def long_argument(package):
    tasks(package)["SchemaImporter"]["inputs"]["parameters"]["text"]["runtimeValue"]["constant"] = "x" * 140_000


def no_executor(package):
    del package.spec["deploymentSpec"]["executors"]["Trainer_executor"]


def cycle(package):
    tasks(package)["LiveModel"]["dependentTasks"] = ["RerunGate"]


def old_schema(package):
    package.spec["schemaVersion"] = "2.0.0"


def bad_name(package):
    package.spec["pipelineInfo"]["name"] = "Taxi_Trips"


def undeclared_value(package):
    package.parameters["epochs"] = 3


def no_default(package):
    del package.spec["root"]["inputDefinitions"]["parameters"]["span"]["defaultValue"]
    del package.parameters["span"]


def unknown_field(package):
    tasks(package)["Trainer"]["gpu"] = 1


@pytest.mark.parametrize(
    ("breakage", "finding"),
    [
        (dangling_artifact, "task Trainer: the input 'base_model' comes from the task 'Nobody', which does not exist."),
        (
            dangling_output,
            "task Trainer: the input 'base_model' is the output 'best' of 'LiveModel', which has no such output.",
        ),
        (
            dangling_parameter,
            "task RerunGate: the parameter 'state_token' comes from the task 'LiveModel_task', which does not exist.",
        ),
        (missing_parameter, "task LiveModel: the parameter 'serving_dir' has no value."),
        (missing_artifact, "task Pusher: the input 'model_blessing' has no producer."),
        (
            wrong_type,
            "task InfraValidator: the parameter 'max_p99_ms' is a NUMBER_DOUBLE. Received: 'fast'.",
        ),
        (
            another_artifact,
            "task Trainer: the input 'base_model' is a tfx.Model, but 'LiveModel' makes a pipeline.Baseline.",
        ),
        (
            unknown_type,
            "task RerunGate: the artifact type 'pipeline.Nothing' is neither TFX's nor can it be imported.",
        ),
        (no_dependency, "task Pusher: the input 'model_blessing' comes from 'Evaluator', which it does not wait for."),
        (unknown_dependency, "task Pusher: it waits for the task 'Approval', which does not exist."),
        (condition_without_input, "task Pusher: its condition reads 'x', which is not among its inputs."),
        (condition_no_cel, "task Pusher: the condition 'rerun ==' is not valid CEL"),
        (no_image, "task Trainer: no container image is named."),
        (
            long_argument,
            "task SchemaImporter: its inputs make an argument of 141,068 bytes; Linux passes at most 131,072.",
        ),
        (no_executor, "task Trainer: its executor 'Trainer_executor' is not defined."),
        (cycle, "pipeline: tasks wait for each other: "),
        (old_schema, "pipeline: schemaVersion must be 2.1.0. Received: '2.0.0'."),
        (bad_name, "pipeline: the name must match [a-z0-9][a-z0-9-]{0,127}. Received: 'Taxi_Trips'."),
        (undeclared_value, "pipeline: there is a value for 'epochs', which is no run-time parameter."),
        (no_default, "pipeline: the run-time parameter 'span' has neither a value nor a default."),
        (unknown_field, "pipeline: not a PipelineSpec: "),
    ],
)
def test_what_a_backend_would_stumble_over_is_named(vertex, breakage, finding):
    breakage(vertex)

    found = [str(one) for one in lint.lint(vertex)]

    assert len(found) == 1
    assert found[0].startswith(finding)


def resolver(package):
    executors = package.spec["deploymentSpec"]["executors"]
    executors["LiveModel_executor"] = {"resolver": {"outputArtifactQueries": {"model": {"filter": ""}}}}


def importer(package):
    executors = package.spec["deploymentSpec"]["executors"]
    executors["BaselineGen_executor"] = {"importer": {"artifactUri": {"constant": "gs://b/x"}}}


def driver(package):
    hook = {"preCacheCheck": {"command": ["python"]}}
    package.spec["deploymentSpec"]["executors"]["ExampleGen_executor"]["container"]["lifecycle"] = hook


@pytest.mark.parametrize(
    ("breakage", "finding"),
    [
        (resolver, "task LiveModel: kubeflow runs no resolver. It runs: container, importer."),
        (importer, "task BaselineGen: kubeflow runs an importer whatever its condition says."),
        (driver, "task ExampleGen: kubeflow never runs lifecycle.preCacheCheck, so what it finds would be missing."),
    ],
)
def test_what_vertex_can_and_kubeflow_cannot_is_refused_for_kubeflow_alone(vertex, kubeflow, breakage, finding):
    for package, expected in ((vertex, []), (kubeflow, [finding])):
        breakage(package)
        assert [str(one) for one in lint.lint(package)] == expected


def test_all_findings_come_in_one_error(kubeflow):
    no_image(kubeflow)
    missing_parameter(kubeflow)

    with pytest.raises(ConfigError) as caught:
        lint.check(kubeflow)

    assert str(caught.value).splitlines() == [
        "kubeflow cannot run this pipeline:",
        "  task LiveModel: the parameter 'serving_dir' has no value.",
        "  task Trainer: no container image is named.",
    ]
