"""What a learner says of its model in history.json, as a table that people read."""

from collections.abc import Mapping
from typing import Any

from pipeline.report.data import Explanation

MOST_ROWS = 60


def explained(told: Mapping[str, Any]) -> Explanation | None:  # Any: JSON.
    """Returns the table; None where the learner tells nothing, as networks do."""
    if told.get("kind") == "coefficients":
        return _coefficients(told)
    if told.get("kind") == "importance":
        return _importance(told)
    return None


def _coefficients(told: Mapping[str, Any]) -> Explanation:
    rows = told["coefficients"]
    chosen = min(told["l2"], key=lambda tried: tried["validation_loss"])
    tried = ", ".join(f"{each['strength']:g} ({each['validation_loss']:.4f})" for each in told["l2"])
    intro = (
        "The model is a sum: for each row the intercept, and the coefficient of each of its values. Regularisation "
        f"(l2) of {chosen['strength']:g} was the best on held-out rows; tried, with their validation loss: {tried}."
    )
    intercept = ("intercept", "", tuple(told["intercept"]))
    shown = tuple((row["column"], row["value"], tuple(row["of"])) for row in rows[:MOST_ROWS])
    return Explanation(
        intro=intro, outputs=tuple(told["outputs"]), rows=(intercept, *shown), left_out=len(rows) - len(shown)
    )


def _importance(told: Mapping[str, Any]) -> Explanation:
    trees = told["trees"]
    sizes = f"{min(trees)}" if min(trees) == max(trees) else f"{min(trees)} to {max(trees)}"
    intro = f"{len(trees)} members of {sizes} trees. How much of the fall in loss the splits by each column brought."
    shares: dict[str, float] = {}
    for row in told["columns"]:  # Of a column of several values each value is one.
        shares[row["column"]] = shares.get(row["column"], 0.0) + row["share"]
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    shown = tuple((column, "", (share,)) for column, share in ordered[:MOST_ROWS])
    return Explanation(intro=intro, outputs=("share",), rows=shown, left_out=len(ordered) - len(shown))
