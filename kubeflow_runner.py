"""The pipeline for Vertex AI Pipelines and Kubeflow Pipelines v2: compile it, rehearse the file here, submit it."""

from pipeline.commands import edge
from pipeline.commands.table import Command, Runner

RUNNER = Runner(
    "kubeflow_runner.py",
    __doc__,
    (
        Command(
            "compile",
            "pipeline.commands.compile",
            "write the pipeline as a file for a backend",
            "Compile the pipeline.",
        ),
        Command(
            "rehearse",
            "pipeline.commands.rehearse",
            "run a compiled file here, as its backend would",
            "Run a compiled file here: each task in its own process, with the file's own command.",
        ),
        Command(
            "submit",
            "pipeline.commands.submit",
            "hand a compiled file to its backend",
            "Submit a compiled file, once or on a schedule.",
        ),
    ),
)
main = RUNNER.main


if __name__ == "__main__":
    edge.leave(main())
