"""The local command line: run the pipeline on one machine, look at what it did."""

from pipeline.commands import edge
from pipeline.commands.table import Command, Runner

RUNNER = Runner(
    "local_runner.py",
    __doc__,
    (
        Command(
            "init",
            "pipeline.commands.init",
            "a dataset from your own file",
            "Read a table, propose what each column is for, and write a dataset's folder that `run` takes. The file is "
            "never changed.",
        ),
        Command(
            "own-model",
            "pipeline.commands.own_model",
            "a model of your own for a dataset",
            "Write model.py, which trains at once, beside dataset.toml, and name it there: [model] module.",
        ),
        Command(
            "pull",
            "pipeline.commands.pull",
            "spans from a database or another source",
            "Pull the spans that [source] owes, each once, as whole Parquet files; late rows make a new version.",
        ),
        Command("run", "pipeline.commands.run", "run the pipeline on one span", "Run the pipeline on one span."),
        Command("watch", "monitoring.watch", "process each new span as it arrives", "Watch for new spans."),
        Command(
            "schema",
            "pipeline.commands.schema",
            "what a span holds beyond the schema; widen it",
            "Show what the newest span holds beyond the curated schema (diff), or widen the schema in place (accept).",
        ),
        Command(
            "replay",
            "pipeline.commands.replay",
            "play all spans in order on a fresh root",
            "Play a dataset's spans in order.",
        ),
        Command(
            "drift",
            "pipeline.commands.drift",
            "compare a span with the live model's data",
            "Compare a span; nothing is recorded.",
        ),
        Command(
            "evaluate",
            "pipeline.commands.evaluate",
            "score the configuration on spans over time",
            "Score the dataset's configuration out of time: each span is predicted by a model that is trained on spans "
            "before it. Nothing is pushed or recorded.",
        ),
        Command(
            "compare",
            "pipeline.commands.compare",
            "score it beside scikit-learn's and PyCaret's models",
            "Score the dataset's configuration beside other tools' models on the same spans, rows, columns and "
            "metrics, with what each costs. Nothing is pushed or recorded.",
        ),
        Command(
            "tune",
            "pipeline.commands.tune",
            "search better hyperparameters",
            "Search hyperparameters that are better on spans over time, by the pipeline's Tuner. The dataset's own "
            "stay unless others are better by more than their interval, and unless --write says so.",
        ),
        Command("spans", "pipeline.commands.spans", "what exists and what was processed", "List the spans."),
        Command("status", "pipeline.commands.status", "pushed versions and newest decisions", "Show the state."),
        Command(
            "predict",
            "pipeline.commands.predict",
            "ask a served model about rows",
            "Ask a served model about rows: any TensorFlow Serving REST endpoint, the local server by default. "
            "With --batch, let a pushed version predict a whole span or file, without a server.",
        ),
        Command(
            "rollback",
            "pipeline.commands.rollback",
            "make an earlier version live again",
            "Make an earlier pushed version live again.",
        ),
        Command(
            "clean",
            "pipeline.commands.clean",
            "remove what [retention] does not keep",
            "Remove what [retention] does not keep; every run does so by itself when it ends.",
        ),
        Command(
            "report",
            "pipeline.commands.report",
            "the page of a run",
            "Find a run's report, or make it again from its artifacts.",
        ),
        Command(
            "serve",
            "serving.cli",
            "serve a pushed model over REST and gRPC",
            "Serve a pushed model over TensorFlow Serving's REST and gRPC.",
        ),
        Command(
            "monitor",
            "monitoring.command",
            "served requests against the training data",
            "Turn the request log into statistics, compare them with the training data, tell the gate.",
        ),
        Command("doctor", "pipeline.environment.doctor", "what this machine lacks", "Look at this machine."),
    ),
)
main = RUNNER.main


if __name__ == "__main__":
    edge.leave(main())
