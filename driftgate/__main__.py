"""The installed command `driftgate`: the commands of both runners under one name."""

import importlib.util
import sys
from pathlib import Path

_HOME = Path(__file__).resolve().parent.parent
_OURS = ("columnar", "data", "models", "monitoring", "pipeline", "serving", "local_runner", "kubeflow_runner")


def in_the_way() -> str | None:
    """Returns what Python would import in place of one of our packages, in words; None where nothing is in the way."""
    for package in _OURS:
        spec = importlib.util.find_spec(package)
        places = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or [])]
        if not any(Path(place).resolve().is_relative_to(_HOME) for place in places if place):
            found = next((place for place in places if place), "nothing")
            return (
                f"Python finds {found} where driftgate's own package {package!r} in {_HOME} is meant. Take the folder "
                "above it out of PYTHONPATH, and call the command driftgate, which does not look into this folder."
            )
    return None


def main() -> int:
    """Runs one command and ends with its exit status; returns 2 where another package is in the way."""
    stranger = in_the_way()
    if stranger is not None:
        print(f"error: {stranger}", file=sys.stderr)
        return 2
    import kubeflow_runner
    import local_runner
    from pipeline.commands import edge
    from pipeline.commands.table import Runner

    commands = (*local_runner.RUNNER.commands, *kubeflow_runner.RUNNER.commands)
    description = "Run the pipeline here, look at what it did, serve what it pushed; compile it for a cluster."
    edge.leave(Runner("local_runner.py", description, commands).main())


if __name__ == "__main__":
    sys.exit(main())
