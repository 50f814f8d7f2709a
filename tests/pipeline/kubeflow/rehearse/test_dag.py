"""Runs of small compiled pipelines: order, conditions, cache, retries, drivers, and where a backend would fail."""

import json
import os

import pytest

from pipeline.kubeflow import lint
from pipeline.kubeflow.rehearse.dag import rehearse
from tests.pipeline.kubeflow.rehearse import small


@pytest.fixture
def run(tmp_path):
    pauses = []

    def run(package, jobs=1, **parameters):
        rehearsal = rehearse(
            package,
            parameters,
            tmp_path,
            jobs=jobs,
            on_start=lambda task: None,
            on_end=lambda result: None,
            pause=pauses.append,
        )
        return rehearsal

    run.pauses = pauses
    return run


def executor(package, name):
    return package.spec["deploymentSpec"]["executors"][name]["container"]


def task(package, name):
    return package.spec["root"]["dag"]["tasks"][name]


def statuses(rehearsal):
    return {result.task: result.status for result in rehearsal.results}


def log(rehearsal, name):
    return (rehearsal.folder / name / "log").read_text()


def test_tasks_run_in_order_with_what_the_file_gives_them(run):
    package = small.package()
    assert lint.lint(package) == []

    rehearsal = run(package)

    assert [(result.task, result.status) for result in rehearsal.results] == [("Make", "ran"), ("Use", "ran")]
    (model,) = rehearsal.outputs("Make", "model")
    assert model["metadata"] == {"good": 1}
    assert log(rehearsal, "Use") == f"used {model['uri']}\n"


def test_a_task_whose_condition_does_not_hold_is_skipped_and_all_behind_it(run):
    package = small.package()
    package.spec["root"]["dag"]["tasks"]["After"] = {
        **task(package, "Use"),
        "triggerPolicy": {},
        "dependentTasks": ["Use", "Make"],
    }

    rehearsal = run(package, good=0)

    assert statuses(rehearsal) == {"Make": "ran", "Use": "skipped", "After": "skipped"}


def test_equal_inputs_come_from_the_cache_where_the_file_allows_it(run):
    assert statuses(run(small.package())) == {"Make": "ran", "Use": "ran"}
    # Use may not be cached; Make may.
    assert statuses(run(small.package())) == {"Make": "cached", "Use": "ran"}
    assert statuses(run(small.package(), good=0)) == {"Make": "ran", "Use": "skipped"}
    other = small.package()
    executor(other, "make")["image"] = "another"
    assert statuses(run(other)) == {"Make": "ran", "Use": "ran"}


def test_a_cached_task_behind_one_that_ran_anew_runs_anew(run):
    package = small.package()
    task(package, "Make").pop("cachingOptions")
    task(package, "Use")["cachingOptions"] = {"enableCache": True}

    # The second Make leaves an artifact of its own, so Use has other inputs.
    assert [statuses(run(package))["Use"] for _ in range(2)] == ["ran", "ran"]


FAIL_TWICE = """
import os, sys, json
given = json.loads(sys.argv[1])
count = os.path.join(os.path.dirname(given["outputs"]["outputFile"]), "count")
tries = int(open(count).read()) + 1 if os.path.exists(count) else 1
open(count, "w").write(str(tries))
if tries < 3: sys.exit("no luck")
"""


def test_a_failing_task_is_tried_as_often_as_the_file_says(run):
    package = small.package()
    executor(package, "make")["command"] = ["python", "-c", FAIL_TWICE + small.MAKE]
    policy = {"maxRetryCount": 2, "backoffDuration": "60s", "backoffFactor": 3.0, "backoffMaxDuration": "100s"}
    task(package, "Make")["retryPolicy"] = policy

    assert statuses(run(package)) == {"Make": "ran", "Use": "ran"}
    assert run.pauses == [60.0, 100.0]


def test_a_task_that_fails_for_good_stops_what_depends_on_it_alone(run):
    package = small.package()
    executor(package, "use")["command"] = ["python", "-c", "raise SystemExit('it broke')"]
    package.spec["root"]["dag"]["tasks"]["Behind"] = {**task(package, "Make"), "dependentTasks": ["Use"]}
    package.spec["root"]["dag"]["tasks"]["Other"] = dict(task(package, "Make"))

    rehearsal = run(package)

    assert statuses(rehearsal) == {"Make": "ran", "Other": "cached", "Use": "failed", "Behind": "not started"}
    (failure,) = rehearsal.failed
    assert failure.why.startswith("exit status 1: it broke (log: ")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("pass", "it ended well but wrote no executor_output.json"),
        ("OUTPUT = {'artifacts': {'other': {'artifacts': []}}}", "it left the artifact 'other', which its component"),
        ("OUTPUT = {'score': 1}", "is no ExecutorOutput"),
        ("OUTPUT = {}", "it left no value for its output parameter 'answer'"),
    ],
)
def test_what_a_task_leaves_must_be_what_the_file_declares(run, code, why):
    package = small.package()
    write = (
        "\nimport json, sys\n"
        "if 'OUTPUT' in dir():\n"
        "    json.dump(OUTPUT, open(json.loads(sys.argv[1])['outputs']['outputFile'], 'w'))"
    )
    executor(package, "make")["command"] = ["python", "-c", code + write]

    (failure,) = run(package).failed

    assert why in failure.why


DRIVER = """
import json, sys
given = json.loads(sys.argv[1])
model = given["outputs"]["artifacts"]["model"]["artifacts"][0]
model["metadata"] = {"span": 7}
output = {"parameterValues": {"good": 0}, "artifacts": {"model": {"artifacts": [model]}}}
json.dump(output, open(given["outputs"]["outputFile"], "w"))
"""


def test_a_driver_is_asked_on_vertex_and_never_on_kubeflow(run):
    for target, good, metadata in (("vertex", 0, {"good": 0, "span": 7}), ("kubeflow", 1, {"good": 1})):
        package = small.package(target)
        hook = {"preCacheCheck": {"command": ["python", "-c", DRIVER], "args": ["{{$}}"]}}
        executor(package, "make")["lifecycle"] = hook
        task(package, "Make").pop("cachingOptions")

        rehearsal = run(package)

        (model,) = rehearsal.outputs("Make", "model")
        assert model["metadata"] == metadata
        weights = (rehearsal.folder / "Make" / "model" / "weights").read_text()
        assert json.loads(weights) == {"good": good}


def test_output_parameters_and_the_environment_reach_the_next_task(run):
    package = small.package()
    executor(package, "use")["env"] = [{"name": "GREETING", "value": "hello"}]
    show = "import os, sys; print(os.environ['GREETING'], sys.argv[2], 'HOME' in os.environ)\n"
    executor(package, "use")["command"] = ["python", "-c", show + small.USE]
    executor(package, "use")["args"] = ["{{$}}", "{{$.inputs.parameters['answer']}}"]
    package.spec["components"]["Use"]["inputDefinitions"]["parameters"] = {
        "answer": {"parameterType": "NUMBER_INTEGER"}
    }
    source = {"taskOutputParameter": {"producerTask": "Make", "outputParameterKey": "answer"}}
    task(package, "Use")["inputs"]["parameters"] = {"answer": source}
    assert lint.lint(package) == []

    # The environment is the file's alone, as a container's is.
    assert log(run(package), "Use").splitlines()[0] == "hello 42.0 False"


def resolve_instead_of_make(package, query):
    package.spec["deploymentSpec"]["executors"]["make"] = {"resolver": {"outputArtifactQueries": {"model": query}}}
    del package.spec["components"]["Make"]["inputDefinitions"]
    del package.spec["components"]["Make"]["outputDefinitions"]["parameters"]
    del task(package, "Make")["inputs"]


def test_a_resolver_finds_the_newest_that_it_asks_for(run):
    first = run(small.package())
    run(small.package(), good=0)
    package = small.package()
    query = 'schema_title="tfx.Model" AND state=LIVE AND metadata.good.number_value=1'
    resolve_instead_of_make(package, {"filter": query})

    rehearsal = run(package)

    assert rehearsal.outputs("Make", "model") == first.outputs("Make", "model")
    assert statuses(rehearsal) == {"Make": "ran", "Use": "ran"}


def test_a_resolver_that_finds_nothing_leaves_the_next_task_without_its_input(run):
    package = small.package()
    resolve_instead_of_make(package, {"filter": 'schema_title="tfx.Model"'})

    rehearsal = run(package)

    assert statuses(rehearsal) == {"Make": "ran", "Use": "failed"}
    assert rehearsal.failed[0].why == "its input 'model' is missing (artifacts)"


def test_an_importer_brings_a_location_in_once(run, tmp_path):
    package = small.package()
    importer = {"artifactUri": {"constant": str(tmp_path)}, "typeSchema": small.MODEL, "metadata": {"good": 1}}
    package.spec["deploymentSpec"]["executors"]["make"] = {"importer": importer}
    del package.spec["components"]["Make"]["outputDefinitions"]["parameters"]

    models = [run(package).outputs("Make", "model")[0] for _ in range(2)]

    assert models[0] == models[1]
    assert models[0]["uri"] == str(tmp_path)
    importer["reimport"] = True
    assert run(package).outputs("Make", "model")[0]["name"] != models[0]["name"]


def test_an_interrupt_ends_the_processes(tmp_path):
    package = small.package()
    os.mkfifo(tmp_path / "pid")
    say = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    executor(package, "make")["command"] = ["python", "-c", say]
    package.spec["deploymentSpec"]["executors"]["quick"] = small.container("raise SystemExit(1)")
    package.spec["components"]["Quick"] = {"executorLabel": "quick"}
    package.spec["root"]["dag"]["tasks"]["Quick"] = {"componentRef": {"name": "Quick"}}
    pids = []

    def interrupt(result):
        pids.append(int((tmp_path / "pid").read_text()))  # Waits until Make is at work.
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rehearse(package, {}, tmp_path, jobs=2, on_start=lambda t: None, on_end=interrupt, pause=lambda s: None)

    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
