"""What the compiled files say, task by task, and that they change only where the pipeline does."""

import dataclasses
import difflib
import json
import subprocess
import sys

import pytest

from pipeline.config.dataset import load_dataset
from pipeline.evaluation import registry
from pipeline.kubeflow import example_gen_driver, lint
from pipeline.selection.tuning_spec import TuningSpec
from tests.helpers import task_datasets
from tests.pipeline.kubeflow import golden


@pytest.mark.parametrize("target", ["vertex", "kubeflow"])
def test_the_compiled_file_is_the_one_reviewed(target, tmp_path):
    text = golden.text(target)

    expected = golden.path(target).read_text(encoding="utf-8")
    if text != expected:
        (tmp_path / golden.path(target).name).write_text(text, encoding="utf-8")
        difference = difflib.unified_diff(expected.splitlines(), text.splitlines(), "reviewed", "now", lineterm="", n=2)
        pytest.fail("`make golden` renews the file:\n" + "\n".join(line[:300] for line in difference))


def test_the_span_is_a_parameter_with_a_value(vertex, kubeflow):
    for package, value in ((vertex, -1), (kubeflow, 5)):
        parameter = package.spec["root"]["inputDefinitions"]["parameters"]["span"]
        assert (parameter["parameterType"], parameter["defaultValue"]) == ("NUMBER_INTEGER", value)
        example_gen = package.spec["root"]["dag"]["tasks"]["ExampleGen"]
        assert example_gen["inputs"]["parameters"]["span"] == {"componentInputParameter": "span"}
    assert vertex.parameters == {"span": -1}


def conditions(package):
    tasks = package.spec["root"]["dag"]["tasks"]
    return {name: task["triggerPolicy"]["condition"] for name, task in tasks.items() if "triggerPolicy" in task}


def test_the_gate_guards_what_costs_and_what_pushes(vertex, kubeflow):
    for package in (vertex, kubeflow):
        found = conditions(package)
        assert found.pop("RefuseSpan") == "(inputs.artifacts['decision'].artifacts[0].metadata['block'] == 1.0)"
        assert sorted(found) == [
            "BaselineGen",
            "Evaluator",
            "InfraValidator",
            "Pusher",
            "RecordOutcome",
            "Trainer",
            "TrainingWindow",
            "Transform",
            "WindowStatistics",
        ]
        assert all(text.endswith(".artifacts[0].metadata['rerun'] == 1.0)") for text in found.values())


def test_kubeflow_needs_no_resolver_no_driver_and_no_cache_of_what_reads_files(kubeflow):
    executors = kubeflow.spec["deploymentSpec"]["executors"].values()
    assert all(list(executor) == ["container"] for executor in executors)
    assert all("lifecycle" not in executor["container"] for executor in executors)
    tasks = kubeflow.spec["root"]["dag"]["tasks"]
    uncached = [name for name, task in tasks.items() if not task.get("cachingOptions", {}).get("enableCache")]
    assert sorted(uncached) == ["ExampleGen", "LiveModel", "RecordOutcome", "RerunGate"]


def test_vertex_asks_our_driver_for_the_span_before_its_cache(vertex):
    executors = vertex.spec["deploymentSpec"]["executors"]
    hooks = {name: e["container"]["lifecycle"] for name, e in executors.items() if "lifecycle" in e["container"]}
    assert list(hooks) == ["ExampleGen_executor"]
    command = hooks["ExampleGen_executor"]["preCacheCheck"]["command"]
    assert command == ["python", "-m", "pipeline.kubeflow.example_gen_driver"]
    tasks = vertex.spec["root"]["dag"]["tasks"]
    uncached = [name for name, task in tasks.items() if not task.get("cachingOptions", {}).get("enableCache")]
    assert sorted(uncached) == ["LiveModel", "RecordOutcome", "RerunGate"]


def test_what_lists_spans_is_told_of_the_marker():
    dataset = load_dataset("taxi")
    marked = dataclasses.replace(dataset, spans=dataclasses.replace(dataset.spans, marker="_SUCCESS"))

    spec = golden.compiled("kubeflow", dataset=marked).spec

    parameters = {name: task["inputs"].get("parameters", {}) for name, task in spec["root"]["dag"]["tasks"].items()}
    told = {
        name: values["marker"]["runtimeValue"]["constant"] for name, values in parameters.items() if "marker" in values
    }
    assert told == {"ExampleGen": "_SUCCESS", "RerunGate": "_SUCCESS", "TrainingWindow": "_SUCCESS"}


@pytest.mark.parametrize(
    ("task", "read", "floors"),
    [
        ("regression", "value", {"r_squared": 0.0}),
        ("multiclass", "probabilities", {"mcfadden_r_squared": 0.0, "expected_calibration_error": 0.05}),
    ],
)
def test_a_task_reaches_whoever_trains_judges_and_decides(task, read, floors, tmp_path):
    dataset = load_dataset(str(task_datasets.write(tmp_path / task, task, spans=0)))

    package = golden.compiled("vertex", dataset=dataset)

    assert lint.lint(package) == []
    tasks = package.spec["root"]["dag"]["tasks"]
    told = {
        name: {key: value["runtimeValue"]["constant"] for key, value in inputs.items() if "runtimeValue" in value}
        for name in ("Evaluator", "RerunGate", "Trainer")
        if (inputs := tasks[name]["inputs"]["parameters"])
    }
    config = json.loads(told["Evaluator"]["eval_config"])
    assert {model["prediction_key"] for model in config["model_specs"]} == {read}
    measured = {metric["class_name"] for spec in config["metrics_specs"] for metric in spec["metrics"]}
    assert measured >= {item.tfma_of(task) for item in registry.of_task(task) if item.tfma_of(task)}
    assert json.loads(told["RerunGate"]["floors"])["limits"] == floors
    features = json.loads(json.loads(told["Trainer"]["custom_config"])["features"])
    assert (features["task"], tuple(features.get("classes", ()))) == (task, dataset.features.classes)
    assert json.loads(told["RerunGate"]["settings"])["features"]["task"] == task


@pytest.mark.parametrize(("wanted", "marker", "span"), [(-1, "", 5), (-1, "_SUCCESS", 4), (3, "", 3)])
def test_the_driver_finds_the_span_as_every_listing_does(vertex, tmp_path, wanted, marker, span):
    for number in (3, 4, 5):
        (tmp_path / f"span-{number}").mkdir()
        (tmp_path / f"span-{number}" / "data.csv").touch()
    (tmp_path / "span-4" / "_SUCCESS").touch()
    inputs = vertex.spec["root"]["dag"]["tasks"]["ExampleGen"]["inputs"]["parameters"]
    given = {name: value["runtimeValue"]["constant"] for name, value in inputs.items() if "runtimeValue" in value}
    given |= {"span": wanted, "marker": marker, "input_base": str(tmp_path)}
    examples = {"name": "examples", "uri": f"{tmp_path}/examples", "type": {"schemaTitle": "tfx.Examples"}}
    task = {
        "inputs": {"parameterValues": given},
        "outputs": {"artifacts": {"examples": {"artifacts": [examples]}}, "outputFile": f"{tmp_path}/out/answer.json"},
    }
    spec = vertex.spec["components"]["ExampleGen"]["inputDefinitions"]

    example_gen_driver.main(
        ["--json_serialized_invocation_args", json.dumps(task), "--json_serialized_inputs_spec_args", json.dumps(spec)]
    )

    answer = json.loads((tmp_path / "out" / "answer.json").read_text())
    assert answer["parameterValues"]["span"] == span
    assert json.loads(answer["parameterValues"]["input_config"])["splits"][0]["pattern"] == f"span-{span}/data.csv"
    assert answer["artifacts"]["examples"]["artifacts"][0]["metadata"]["custom:span"] == span


def test_every_task_but_the_refusal_is_tried_again(vertex):
    tasks = vertex.spec["root"]["dag"]["tasks"]

    assert [name for name, task in tasks.items() if "retryPolicy" not in task] == ["RefuseSpan"]
    assert tasks["Trainer"]["retryPolicy"]["maxRetryCount"] == 2


VERTEX = """
[vertex]
project = "my-project"
region = "europe-west4"
machine_type = "n1-standard-8"
accelerator_type = "NVIDIA_TESLA_T4"
endpoint = "taxi-tips"
"""


@pytest.fixture
def with_vertex(tmp_path):
    source = load_dataset("taxi").path.parent
    (tmp_path / "schema.pbtxt").write_text((source / "schema.pbtxt").read_text())
    (tmp_path / "dataset.toml").write_text((source / "dataset.toml").read_text() + VERTEX)
    return load_dataset(str(tmp_path))


def arguments(package, task):
    args = package.spec["deploymentSpec"]["executors"][f"{task}_executor"]["container"]["args"]
    return args[args.index("--executor_class_path") + 1]


def custom_config(package, task):
    constant = package.spec["root"]["dag"]["tasks"][task]["inputs"]["parameters"]["custom_config"]["runtimeValue"]
    return json.loads(constant["constant"])


def test_the_dataset_file_moves_training_and_serving_to_vertex(with_vertex):
    package = golden.compiled("vertex", dataset=with_vertex)

    assert lint.lint(package) == []
    extensions = "tfx.extensions.google_cloud_ai_platform"
    assert arguments(package, "Trainer") == f"{extensions}.trainer.executor.GenericExecutor"
    # As TFX's executor reads them.
    config = custom_config(package, "Trainer")
    assert config["ai_platform_enable_vertex"] is True
    assert config["ai_platform_vertex_region"] == "europe-west4"
    assert config["ai_platform_training_args"]["project"] == "my-project"
    (pool,) = config["ai_platform_training_args"]["job_spec"]["worker_pool_specs"]
    assert pool["machine_spec"] == {
        "machine_type": "n1-standard-8",
        "accelerator_type": "NVIDIA_TESLA_T4",
        "accelerator_count": 1,
    }
    assert pool["container_spec"] == {"image_uri": "example.org/driftgate:1"}
    assert "features" in config
    assert arguments(package, "EndpointPusher") == f"{extensions}.pusher.executor.Executor"
    serving = custom_config(package, "EndpointPusher")["ai_platform_serving_args"]
    assert (serving["project"], serving["endpoint_name"]) == ("my-project", "taxi-tips")
    tasks = package.spec["root"]["dag"]["tasks"]
    assert "Pusher" in tasks["EndpointPusher"]["dependentTasks"]
    assert tasks["EndpointPusher"]["triggerPolicy"] == tasks["Pusher"]["triggerPolicy"]


@pytest.mark.parametrize("target", ["vertex", "kubeflow"])
def test_a_search_before_each_training_feeds_the_trainer(target):
    taxi = load_dataset("taxi")
    dataset = dataclasses.replace(taxi, tuning=TuningSpec(each_training=True, trials=3))

    package = golden.compiled(target, dataset=dataset)

    assert lint.lint(package) == []
    tasks = package.spec["root"]["dag"]["tasks"]
    assert tasks["Trainer"]["inputs"]["artifacts"]["hyperparameters"] == {
        "taskOutputArtifact": {"producerTask": "Tuner", "outputArtifactKey": "best_hyperparameters"}
    }
    fed = {
        name: one["taskOutputArtifact"]["producerTask"] for name, one in tasks["Tuner"]["inputs"]["artifacts"].items()
    }
    assert fed == {
        "examples": "TuningWindow",
        "schema": "SchemaImporter",
        "transform_graph": "Transform",
        "hyperparameters": "RerunGate",
        # What the condition reads.
        **{name: producer for name, producer in fed.items() if producer == "RerunGate"},
    }
    assert tasks["Tuner"]["triggerPolicy"] == tasks["Trainer"]["triggerPolicy"]
    # Four spans to train on, and four that are predicted.
    assert custom_config(package, "Tuner")["window"] == "4"
    window = tasks["TuningWindow"]["inputs"]["parameters"]["size"]["runtimeValue"]["constant"]
    assert int(window) == 8


def test_another_backend_ignores_the_vertex_table(with_vertex):
    package = golden.compiled("kubeflow", dataset=with_vertex)

    assert arguments(package, "Trainer") == "tfx.components.trainer.executor.GenericExecutor"
    assert "EndpointPusher" not in package.spec["root"]["dag"]["tasks"]


def test_the_beam_engines_tasks_hand_their_jobs_to_a_cluster():
    beam_args = ("--runner=DataflowRunner", "--sdk_container_image=example.org/driftgate:1")

    package = golden.compiled("vertex", engine="beam", beam_args=beam_args)

    assert lint.lint(package) == []
    assert arguments(package, "Transform") == "pipeline.components.transform.TransformExecutor"
    args = package.spec["deploymentSpec"]["executors"]["Transform_executor"]["container"]["args"]
    # TFX's entry point takes what it does not know as Beam's options.
    assert args[-len(beam_args) :] == list(beam_args)


def test_a_local_pipeline_loads_no_cloud_library():
    script = (
        "import sys\n"
        "from pipeline.config.dataset import load_dataset\n"
        "from pipeline.config.pipeline_config import PipelineConfig\n"
        "from pipeline.pipeline import create_pipeline\n"
        "where = dict.fromkeys(('data_root', 'pipeline_root', 'serving_dir', 'state_dir'), '/nowhere')\n"
        "create_pipeline(PipelineConfig(dataset=load_dataset('taxi'), span=5, **where))\n"
        "cloud = {'google.cloud.aiplatform', 'google.cloud.aiplatform_v1', 'kfp', 'celpy', 'pipeline.kubeflow'}\n"
        "print('CLOUD', sorted(cloud & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.stdout.endswith("CLOUD []\n"), done.stderr[-2000:]


def test_the_backends_can_run_it(vertex, kubeflow):
    assert lint.lint(vertex) == []
    assert lint.lint(kubeflow) == []


def test_own_code_travels_inside_the_file(tmp_path):
    source = load_dataset("taxi").path.parent
    (tmp_path / "schema.pbtxt").write_text((source / "schema.pbtxt").read_text())
    (tmp_path / "dataset.toml").write_text(
        (source / "dataset.toml").read_text() + '\n[model]\nmodule = "model.py"\nexamples = "raw"\n'
    )
    (tmp_path / "keys.py").write_text("KEYS = ['fare']\n")
    text = "from keys import KEYS\ndef build_model(spec): ...\ndef preprocessing_fn(inputs): ...\n"
    (tmp_path / "model.py").write_text(text)

    package = golden.compiled("kubeflow", dataset=load_dataset(str(tmp_path)))

    assert lint.lint(package) == []
    for task in ("Transform", "Trainer"):
        assert json.loads(custom_config(package, task)["own"]) == {
            "entry": "model.py",
            "files": {"keys.py": "KEYS = ['fare']\n", "model.py": text},
        }
    parameters = package.spec["root"]["dag"]["tasks"]["Transform"]["inputs"]["parameters"]
    assert parameters["preprocessing_fn"]["runtimeValue"]["constant"] == "models.own.transform.preprocessing_fn"
