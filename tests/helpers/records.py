"""Span records as the gate would leave them."""

from pipeline.state import span_records


def record(span, version=0, verdict="skip", **values):
    defaults = {"fingerprint": f"f{span}", "rows": 10, "accepted": True, "waiting": False, "examples_uri": ""}
    return span_records.SpanRecord(span=span, version=version, verdict=verdict, decided_at=0, **{**defaults, **values})
