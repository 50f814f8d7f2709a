"""The kinds of panels that the dashboard has. Source of the form: Grafana, "Dashboard JSON model"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]  # Any: JSON.

SOURCE = {"type": "prometheus", "uid": "driftgate-prometheus"}


def target(expression: str, legend: str = "", *, instant: bool = False) -> Json:
    """Returns one query."""
    query: Json = {"datasource": SOURCE, "expr": expression, "legendFormat": legend or "__auto"}
    return query | ({"instant": True, "range": False, "format": "table"} if instant else {"range": True})


def panel(
    title: str,
    kind: str,
    targets: Sequence[Json],
    *,
    size: tuple[int, int],
    description: str,
    unit: str = "short",
    field: Mapping[str, Any] | None = None,  # Any: JSON.
    overrides: Sequence[Json] = (),
    options: Mapping[str, Any] | None = None,  # Any: JSON.
    transformations: Sequence[Json] = (),
) -> Json:
    """Returns a panel; `size` is its width of 24 and its height."""
    width, height = size
    return {
        "title": title,
        "description": description,
        "type": kind,
        "datasource": SOURCE,
        "targets": [query | {"refId": chr(ord("A") + index)} for index, query in enumerate(targets)],
        "fieldConfig": {"defaults": {"unit": unit, **(field or {})}, "overrides": list(overrides)},
        "options": dict(options or {}),
        "transformations": list(transformations),
        "gridPos": {"w": width, "h": height},
    }


def stat(title: str, expression: str, description: str, unit: str = "short", **more: Any) -> Json:  # Any: JSON.
    """Returns one number of the first row."""
    steps = more.pop("steps", [("green", None)])
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "none"}
    return panel(
        title,
        "stat",
        [target(expression, more.pop("legend", ""))],
        size=(3, 4),
        description=description,
        unit=unit,
        field={"thresholds": thresholds(steps), **more.pop("field", {})},
        options={**options, **more},
    )


def lines(
    title: str, targets: Sequence[Json], description: str, unit: str = "short", **more: Any
) -> Json:  # Any: JSON.
    """Returns a picture over time."""
    custom = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": True, **more.pop("custom", {})}
    options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    return panel(
        title,
        "timeseries",
        targets,
        size=more.pop("size", (12, 8)),
        description=description,
        unit=unit,
        field={"custom": custom, **more.pop("field", {})},
        overrides=more.pop("overrides", ()),
        options=options,
    )


def thresholds(steps: Sequence[tuple[str, float | None]]) -> Json:
    """Returns colours by value."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}


def color_of(name: str, color: str) -> Json:
    """Returns the override that gives a series its colour."""
    fixed = {"id": "color", "value": {"mode": "fixed", "fixedColor": color}}
    return {"matcher": {"id": "byName", "options": name}, "properties": [fixed]}
