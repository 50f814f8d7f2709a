"""driftgate from Python, for notebooks: `load` a dataset, then `run`, `explain`, `drift`, `serve`, `monitor`, `replay`.

    import driftgate

    loans = driftgate.load("loans")
    loans.explain()          # what the gate would do with the newest span
    run = loans.run()        # shows the report
    run.features             # a data frame

Each call is one of the commands, in a process of its own: a notebook keeps its memory, and its own packages called
`models` or `data`. See docs/notebook.md.
"""

from driftgate.calls import CommandError
from driftgate.notebook import Dataset, init, load
from driftgate.results import Drift, Look, Replay, Run
from driftgate.server import Server

__all__ = ["CommandError", "Dataset", "Drift", "Look", "Replay", "Run", "Server", "init", "load"]
