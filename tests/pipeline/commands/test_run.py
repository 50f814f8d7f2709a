"""How often a run lists the data root, for on a bucket each listing is a request; and what it says at the end."""

from types import SimpleNamespace

import pytest

import local_runner
from pipeline.commands.run import closing_lines
from pipeline.errors import DataError
from pipeline.ingest import spans
from pipeline.ingest.spans import SpanFile
from pipeline.runs import node_runner
from pipeline.runs.outcome import Outcome, Result
from pipeline.state import span_records
from pipeline.state.root import Root


def refuse(*_, **__):
    raise DataError("line 2: expected FLOAT")


def test_a_run_lists_a_bucket_once_before_its_components_do(tmp_path, monkeypatch):
    listings = []

    def listing(data_root, pattern, marker):
        listings.append(data_root)
        return [
            SpanFile(span=n, version=2, path=f"{data_root}/span-{n}/data.csv", pattern=f"span-{n}/data.csv")
            for n in (4, 5)
        ]

    monkeypatch.setattr(spans, "all_versions", listing)
    # The components find their files themselves, as they do on every orchestrator.
    monkeypatch.setattr(node_runner, "run", refuse)
    root = Root(tmp_path / "root")

    status = local_runner.main(["run", "--root", str(root.path), "--data-root", "gs://bucket/taxi"])

    assert status == 3
    assert listings == ["gs://bucket/taxi"]
    (record,) = span_records.read_records(str(root.state))
    assert (record.span, record.version, record.verdict) == (5, 2, "block")


@pytest.mark.parametrize(
    ("stored", "lines"),
    [
        (None, []),
        ('{"graph": "stacked", "reason": ""}', []),
        (
            '{"graph": "plain", "reason": "its outputs differ"}',
            ["It answers through TFT's graph, several times slower than the stacked one: its outputs differ"],
        ),
        ("damaged", []),
    ],
)
def test_a_run_says_where_the_pushed_version_answers_slowly(stored, lines, tmp_path):
    version = tmp_path / "7"
    (version / "assets.extra").mkdir(parents=True)
    if stored is not None:
        (version / "assets.extra" / "serving_graph.json").write_text(stored, encoding="utf-8")
    request = SimpleNamespace(dataset=SimpleNamespace(serving=SimpleNamespace(model_name="taxi")))

    said = closing_lines(Outcome(result=Result.PUSHED, span=5, nodes=(), pushed=version), request, lambda *_: "")

    assert said == [f"Pushed version 7 to {version}", *lines]
