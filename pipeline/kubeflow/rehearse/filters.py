"""Resolvers' queries, as TFX's compiler writes them for Vertex: comparisons joined by AND.

Source: Vertex ML Metadata, "Filter syntax": `schema_title="..." AND state=LIVE AND metadata.KEY.number_value=1`.
"""

import re
from collections.abc import Mapping
from typing import Any

from pipeline.kubeflow.rehearse.errors import TaskError

_TERM = re.compile(
    r"(?P<field>schema_title|state|name|uri|metadata\.(?P<key>[\w:]+)\.(?P<kind>number|string|bool)_value)"
    r"\s*=\s*(?P<value>\"[^\"]*\"|[\w.+-]+)"
)


def matches(query: str, title: str, artifact: Mapping[str, Any]) -> bool:  # Any: JSON.
    """Tells whether an artifact is what the query asks for.

    Raises:
      TaskError: the query uses more of the syntax than is known here.
    """
    return all(_holds(term.strip(), title, artifact) for term in re.split(r"\s+AND\s+", query.strip()))


def _holds(term: str, title: str, artifact: Mapping[str, Any]) -> bool:
    match = _TERM.fullmatch(term)
    if match is None:
        raise TaskError(f"the query {term!r} is not one that the rehearsal can answer")
    wanted = match["value"].strip('"')
    if match["key"]:
        value = artifact.get("metadata", {}).get(match["key"])
        if match["kind"] == "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and float(value) == float(wanted)
        return str(value).lower() == wanted.lower() if match["kind"] == "bool" else value == wanted
    if match["field"] == "schema_title":
        return title == wanted
    # Whatever has been recorded here is live.
    return wanted == "LIVE" if match["field"] == "state" else artifact.get(match["field"]) == wanted
