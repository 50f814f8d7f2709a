"""Writes the table of metrics into docs/evaluation.md, from the registry.

python -m docs.evaluation
"""

from pathlib import Path

from models.target import TaskName
from pipeline.evaluation import registry
from pipeline.evaluation.spec import EvaluationSpec

FILE = Path(__file__).with_suffix(".md")
_BEGIN, _END = "<!-- metrics -->\n", "<!-- end of metrics -->\n"
_TASKS: tuple[TaskName, ...] = ("binary", "multiclass", "regression")


def table() -> str:
    """Returns the table: a row for each metric, and what each task is held to without a word in dataset.toml."""
    spec = EvaluationSpec()
    lines = ["| metric | is | tasks | better | Beam engine |", "|---|---|---|---|---|"]
    for item in registry.METRICS.values():
        unit = {"nats": ", nats", "label": ", in the label's unit", "%": "", "": ""}[item.unit]
        on_beam = "yes" if all(item.tfma_of(task) for task in item.tasks) else "no"
        lines.append(f"| `{item.name}` | {item.title}{unit} | {', '.join(item.tasks)} | {item.better} | {on_beam} |")
    lines += ["", "| task | main metric | floors and limits | drop | drop of a slice |", "|---|---|---|---|---|"]
    for task in _TASKS:
        rules = (spec.floors_of(task), spec.drops_of(task), spec.slice_drops_of(task))
        written = [", ".join(f"`{name}` {value:g}" for name, value in rule.items()) for rule in rules]
        lines.append(f"| {task} | `{registry.MAIN[task]}` | {' | '.join(written)} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Returns the page with its table anew."""
    head, rest = FILE.read_text(encoding="utf-8").split(_BEGIN)
    return head + _BEGIN + table() + _END + rest.split(_END)[1]


def main() -> None:
    """Writes the page."""
    FILE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
