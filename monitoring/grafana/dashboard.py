"""Makes the dashboard: `python -m monitoring.grafana.dashboard` writes dashboards/driftgate.json anew.

`sections.py` has the panels; this module lays them out. Grafana provisions the JSON file beside this module, and a test
compares the two.
"""

from __future__ import annotations

import json
from pathlib import Path

from monitoring.grafana import sections
from monitoring.grafana.panels import SOURCE, Json

FILE = Path(__file__).with_name("dashboards") / "driftgate.json"
WIDTH = 24


def push_markers() -> list[Json]:
    """Returns the markers of pushes: one at each value of the push's time, which is in milliseconds there."""
    return [
        {
            "name": "Pushes",
            "datasource": SOURCE,
            "enable": True,
            "iconColor": "purple",
            "expr": 'driftgate_live_model_pushed_timestamp_seconds{dataset=~"$dataset"} * 1000',
            "useValueForTime": "on",
            "step": "60s",
            "titleFormat": "pushed",
        }
    ]


_MODELS = 'label_values(:tensorflow:serving:request_count{model_name!=""}, model_name)'


def variable(name: str, label: str, query: str) -> Json:
    """Returns a choice at the top of the dashboard."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": False,
        "includeAll": False,
    }


def dashboard() -> Json:
    """Returns the whole dashboard; panels are laid out row by row, in the order in which they are written."""
    panels: list[Json] = []
    top = 0
    for title, section in (
        ("Service health", sections.service_health()),
        ("Decisions", sections.decisions()),
        ("The live model", sections.quality()),
        ("Runs and monitor", sections.machinery()),
    ):
        panels.append(
            {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": _place(0, top, 24, 1)}
        )
        top += 1
        left = height = 0
        for item in section:
            size = item["gridPos"]
            if left + size["w"] > WIDTH:
                left, top, height = 0, top + height, 0
            panels.append(item | {"gridPos": _place(left, top, size["w"], size["h"])})
            left, height = left + size["w"], max(height, size["h"])
        top += height
    return {
        "uid": "driftgate",
        "title": "driftgate",
        "description": "Requests, the gate's decisions and the live model. Made by monitoring/grafana/dashboard.py.",
        "tags": ["driftgate"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {
            "list": [
                variable("dataset", "Dataset", "label_values(driftgate_live_model_max_age_seconds, dataset)"),
                variable("model", "Model", _MODELS),
            ]
        },
        "annotations": {"list": push_markers()},
        "panels": [item | {"id": index} for index, item in enumerate(panels, start=1)],
    }


def _place(x: int, y: int, w: int, h: int) -> Json:
    return {"x": x, "y": y, "w": w, "h": h}


def text() -> str:
    """Returns the file's content."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
