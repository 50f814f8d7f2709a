"""What a root keeps, and what a removal that is interrupted leaves."""

import json
import os
import sqlite3
import time

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.ingest.spans import SpanFile
from pipeline.state import backlog, retention, span_records
from pipeline.state.metadata_store import open_store
from pipeline.state.retention import RetentionPolicy
from pipeline.state.root import Root
from tests.helpers.records import record
from tests.helpers.versions import add


@pytest.fixture
def root(tmp_path):
    root = Root(tmp_path / "root")
    root.prepare()
    return root


def run(root, name, uses=()):
    """Records a run of one component with its folders, as TFX does, and returns the number of its artifact."""
    store = open_store(root.metadata)
    kinds = {kind: store.put_context_type(mlmd.ContextType(name=kind)) for kind in ("pipeline_run", "execution_cache")}
    artifact_type = store.put_artifact_type(mlmd.ArtifactType(name="Examples"))
    execution_type = store.put_execution_type(mlmd.ExecutionType(name="ExampleGen"))
    execution = mlmd.Execution(type_id=execution_type, last_known_state=mlmd.Execution.COMPLETE)
    execution.custom_properties["span"].int_value = 1
    (number,) = store.put_executions([execution])
    execution.id = number
    place = root.artifacts / "ExampleGen" / "examples" / str(number)
    place.mkdir(parents=True)
    (place / "data").write_bytes(b"x" * 8192)
    for folder in (f"executor_execution/{number}", f"stateful_working_dir/{name}"):
        (root.artifacts / "ExampleGen" / ".system" / folder).mkdir(parents=True)
    step = mlmd.Event.Path.Step
    path = mlmd.Event.Path(steps=[step(key="examples"), step(index=0)])
    output = mlmd.Artifact(type_id=artifact_type, uri=str(place), state=mlmd.Artifact.LIVE)
    output.custom_properties["span"].int_value = 1
    contexts = [mlmd.Context(type_id=kinds[kind], name=f"{kind}-{name}") for kind in kinds]
    contexts[0].name = name
    pairs = [(output, mlmd.Event(type=mlmd.Event.OUTPUT, path=path))]
    pairs += [
        (artifact, mlmd.Event(type=mlmd.Event.INPUT, path=path)) for artifact in store.get_artifacts_by_id(list(uses))
    ]
    _, artifacts, _ = store.put_execution(execution, pairs, contexts)
    return artifacts[0]


def examples(root):
    return sorted(os.listdir(root.artifacts / "ExampleGen" / "examples"), key=int)


def clean(root, *, now=None, **policy):
    plan = retention.plan(root, root.serving("tiny"), RetentionPolicy(**policy), now=now or time.time())
    retention.apply(root, plan)
    return plan


def version(root, number, rollback=None):
    folder = root.serving("tiny") / str(number) / "assets.extra"
    folder.mkdir(parents=True)
    if rollback:
        origin, instead_of = rollback
        value = {"origin": origin, "instead_of": instead_of, "undoes": None, "withdrawn_spans": [], "made_at": number}
        (folder / "rollback.json").write_text(json.dumps(value))


def versions(root):
    return sorted(map(int, os.listdir(root.serving("tiny"))))


def test_artifacts_of_the_newest_runs_are_kept(root):
    numbers = [run(root, name) for name in ("a", "b", "c", "d")]

    clean(root, artifacts=2)

    assert examples(root) == ["3", "4"]
    system = root.artifacts / "ExampleGen" / ".system"
    assert sorted(os.listdir(system / "executor_execution")) == ["3", "4"]
    assert sorted(os.listdir(system / "stateful_working_dir")) == ["c", "d"]
    # TFX's cache hands out only what is LIVE.
    states = [artifact.state for artifact in open_store(root.metadata).get_artifacts_by_id(numbers)]
    assert states == [mlmd.Artifact.DELETED] * 2 + [mlmd.Artifact.LIVE] * 2
    assert not root.trash.exists()


def test_an_older_artifact_that_a_kept_run_uses_is_kept(root):
    first = run(root, "a")
    run(root, "b")
    run(root, "c", uses=[first])

    clean(root, artifacts=1)

    assert examples(root) == ["1", "3"]


def test_the_rows_of_a_span_that_waits_are_kept(root):
    for name in ("a", "b", "c"):
        run(root, name)
    waiting = record(1, waiting=True, examples_uri="/moved/since/artifacts/ExampleGen/examples/1")
    span_records.write_record(str(root.state), waiting)

    clean(root, artifacts=1)

    assert examples(root) == ["1", "3"]


def test_old_runs_are_forgotten_with_all_that_only_they_hold(root):
    first = run(root, "a")
    run(root, "b")
    run(root, "c", uses=[first])

    clean(root, artifacts=1, runs=1)

    store = open_store(root.metadata)
    assert [context.name for context in store.get_contexts_by_type("pipeline_run")] == ["c"]
    assert [context.name for context in store.get_contexts_by_type("execution_cache")] == ["execution_cache-c"]
    assert [execution.id for execution in store.get_executions()] == [3]
    assert [artifact.id for artifact in store.get_artifacts()] == [1, 3]
    with sqlite3.connect(root.metadata) as tables:
        for table, column, of in (
            ("ArtifactProperty", "artifact_id", "Artifact"),
            ("ExecutionProperty", "execution_id", "Execution"),
            ("Event", "execution_id", "Execution"),
            ("Event", "artifact_id", "Artifact"),
            ("EventPath", "event_id", "Event"),
            ("Association", "context_id", "Context"),
            ("Association", "execution_id", "Execution"),
            ("Attribution", "artifact_id", "Artifact"),
            ("Attribution", "context_id", "Context"),
        ):
            query = f"select count(*) from {table} where {column} not in (select id from {of})"
            assert tables.execute(query).fetchone() == (0,), (table, column)
    # Numbers are not used again: the folders of later executions cannot meet earlier ones.
    assert run(root, "d") == 4


def test_a_removal_that_was_killed_is_finished_by_the_next(root, monkeypatch):
    for name in ("a", "b", "c"):
        run(root, name)
    renamed = []

    def killed(path, target):
        if renamed:
            raise KeyboardInterrupt
        renamed.append(path)
        os.rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.rename", killed)
        with pytest.raises(KeyboardInterrupt):
            clean(root, artifacts=1)
    assert os.listdir(root.trash)

    clean(root, artifacts=1)

    assert examples(root) == ["3"]
    assert not root.trash.exists()


def test_metadata_of_another_layout_is_left_alone(root):
    for name in ("a", "b"):
        run(root, name)
    with sqlite3.connect(root.metadata) as store:
        store.execute("update MLMDEnv set schema_version = 11")

    assert clean(root, artifacts=1, runs=1) == retention.Plan(removals=(), deleted=(), forgotten=())


def test_a_root_without_runs_has_nothing_to_remove(root):
    assert clean(root) == retention.Plan(removals=(), deleted=(), forgotten=())


def test_the_newest_versions_are_kept(root):
    for number in (1, 2, 3, 4):
        version(root, number)

    clean(root, versions=2)

    assert versions(root) == [3, 4]


def test_what_a_rollback_is_and_replaced_is_kept_and_what_another_would_go_back_to(root):
    for number in (1, 2, 3, 4, 5):
        version(root, number)
    # 7 is 3 again and was made instead of 5: --undo needs 5, and the next rollback goes to 2.
    version(root, 6, rollback=(5, 4))
    version(root, 7, rollback=(3, 5))

    clean(root, versions=2)

    assert versions(root) == [2, 3, 4, 5, 6, 7]


def test_the_newest_logs_and_reports_are_kept_and_a_running_watchers_log(root):
    now = time.time()
    root.reports.mkdir()
    for age, name in enumerate(["run-4.log", "run-3.log", "run-2.log", "watch-1.log"]):
        (root.logs / name).touch()
        os.utime(root.logs / name, (now - age, now - age))
        (root.reports / f"span-{age}.html").touch()
        os.utime(root.reports / f"span-{age}.html", (now - age, now - age))

    clean(root, logs=1, reports=2)

    assert sorted(os.listdir(root.logs)) == ["run-4.log", "watch-1.log"]
    assert sorted(os.listdir(root.reports)) == ["span-0.html", "span-1.html"]


def test_a_file_of_a_time_to_come_is_not_the_newest(root):
    """A clock that was set back must not have every new log removed for the old ones of tomorrow."""
    now = time.time()
    for name, stamp in (("run-tomorrow.log", now + 86_400), ("run-now.log", now - 1)):
        (root.logs / name).touch()
        os.utime(root.logs / name, (stamp, stamp))

    clean(root, logs=1)

    assert os.listdir(root.logs) == ["run-now.log"]


def test_a_link_to_what_is_kept_sets_nothing_free(root):
    run(root, "a")
    run(root, "b")
    (root.path / "kept").hardlink_to(root.artifacts / "ExampleGen" / "examples" / "1" / "data")

    plan = retention.plan(root, root.serving("tiny"), RetentionPolicy(artifacts=1), now=time.time())
    before = sum(free for _, _, free in retention.sizes(plan.removals))
    (root.path / "kept").unlink()
    after = sum(free for _, _, free in retention.sizes(plan.removals))

    assert after - before == 8192


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"artifacts": 0}, r"artifacts: expected an integer in \[1, 1_000_000_000\]. Received: 0."),
        ({"versions": 1}, r"versions: expected an integer in \[2, 1_000_000_000\]. Received: 1."),
        ({"artifacts": 10, "runs": 9}, "runs must be at least artifacts"),
    ],
)
def test_a_policy_that_keeps_too_little_is_refused(policy, message):
    with pytest.raises(ValueError, match=message):
        RetentionPolicy(**policy)


DAY_S = 86_400


def remember(root, span, **values):
    span_records.write_record(str(root.state), record(span, **values))


def test_what_is_older_than_the_days_goes_whatever_the_numbers_say_but_the_newest_run(root):
    numbers = [run(root, name) for name in ("a", "b", "c")]

    clean(root, max_days=30.0, now=time.time() + 29 * DAY_S)
    assert examples(root) == [str(number) for number in numbers]

    clean(root, max_days=30.0, now=time.time() + 31 * DAY_S)
    assert examples(root) == [str(numbers[-1])]
    with sqlite3.connect(root.metadata) as store:
        names = store.execute("select name from Context where name in ('a', 'b', 'c')").fetchall()
    assert names == [("c",)]


def test_an_old_version_goes_and_what_a_rollback_needs_stays(root):
    day = 1_795_000_000
    for age in (90, 60, 45, 40):
        version(root, day - age * DAY_S)

    clean(root, max_days=30.0, now=day)

    # The live one, and the one before it, to which `rollback` would go back.
    assert versions(root) == [day - 45 * DAY_S, day - 40 * DAY_S]


def test_old_pages_and_logs_go_but_the_newest(root):
    root.reports.mkdir()
    for folder, names in ((root.reports, "abc"), (root.logs, "abc")):
        for age, name in zip((60, 50, 40), names, strict=True):
            file = folder / (f"{name}.html" if folder == root.reports else f"run-{name}.log")
            file.touch()
            os.utime(file, (1_795_000_000 - age * DAY_S,) * 2)

    clean(root, max_days=45.0, now=1_795_000_000)
    assert [path.name for path in (*root.reports.iterdir(), *root.logs.iterdir())] == ["c.html", "run-c.log"]

    clean(root, max_days=1.0, now=1_795_000_000)
    assert [path.name for path in (*root.reports.iterdir(), *root.logs.iterdir())] == ["c.html", "run-c.log"]


def test_records_of_old_spans_go_but_those_that_something_asks_for(root):
    for span in range(1, 31):
        remember(root, span)
    remember(root, 3, verdict="block")
    remember(root, 5, verdict="rerun")  # Its run was killed.
    remember(root, 7, waiting=True)

    clean(root, history=25)
    # Not before there are a quarter more than 25.
    assert len(span_records.read_records(str(root.state))) == 30
    for span in range(31, 33):
        remember(root, span)
    clean(root, history=25)

    kept = [item.span for item in span_records.read_records(str(root.state))]
    assert kept == [3, 5, 7, *range(8, 33)]
    # A span whose record went is done, and one that is to be done is not.
    listed = {span: [SpanFile(span=span, version=0, path="", pattern="")] for span in range(1, 34)}
    waiting = [item.span for item in backlog.unprocessed(root, root.serving("tiny"), listed, "")]
    assert waiting == [5, 33]
    clean(root, history=25)
    assert [item.span for item in backlog.unprocessed(root, root.serving("tiny"), listed, "")] == [5, 33]


def test_records_of_the_live_models_spans_stay(root):
    for span in range(1, 31):
        remember(root, span)
    add(root.serving("tiny"), 1_795_000_000, [1, 2])

    clean(root, history=10)

    assert [item.span for item in span_records.read_records(str(root.state))] == [1, 2, *range(21, 31)]
