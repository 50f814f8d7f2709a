"""What the compiled files say, task by task, and that they change only where the pipeline does."""

import difflib

import pytest

from pipeline.kubeflow import lint
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
    assert sorted(uncached) == ["ExampleGen", "LiveModel", "RerunGate"]


def test_vertex_asks_our_driver_for_the_span_before_its_cache(vertex):
    executors = vertex.spec["deploymentSpec"]["executors"]
    hooks = {name: e["container"]["lifecycle"] for name, e in executors.items() if "lifecycle" in e["container"]}
    assert list(hooks) == ["ExampleGen_executor"]
    command = hooks["ExampleGen_executor"]["preCacheCheck"]["command"]
    assert command == ["python", "-m", "pipeline.kubeflow.example_gen_driver"]
    tasks = vertex.spec["root"]["dag"]["tasks"]
    uncached = [name for name, task in tasks.items() if not task.get("cachingOptions", {}).get("enableCache")]
    assert sorted(uncached) == ["LiveModel", "RerunGate"]


def test_every_task_but_the_refusal_is_tried_again(vertex):
    tasks = vertex.spec["root"]["dag"]["tasks"]

    assert [name for name, task in tasks.items() if "retryPolicy" not in task] == ["RefuseSpan"]
    assert tasks["Trainer"]["retryPolicy"]["maxRetryCount"] == 2


def test_the_backends_can_run_it(vertex, kubeflow):
    assert lint.lint(vertex) == []
    assert lint.lint(kubeflow) == []
