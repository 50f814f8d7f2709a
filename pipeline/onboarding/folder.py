"""What `init` writes beside the spans: dataset.toml, schema.pbtxt and README.md, each with its reasons."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.task_names import TaskName
from pipeline.config import json_schema
from pipeline.onboarding.calendar_parts import Part
from pipeline.onboarding.cut import Cut, Cutting, SpanSummary
from pipeline.onboarding.floors import evaluation_lines, threshold_lines, training_lines, window_of
from pipeline.onboarding.label import Label
from pipeline.onboarding.profile import Profile
from pipeline.onboarding.roles import Role

SPANS_FOLDER = "spans"
SCHEMA_COPY = json_schema.FILE.name
"""The JSON schema of dataset.toml, beside it, for editors."""
_CLOSED_MOST = 50
_NEW_VALUES = 0.002
_DOMAIN_MASS = 0.99

_LISTS = {"numeric": "numeric", "category": "categorical", "date": "dates", "timestamp": "timestamps"}
_TABLES = {"hashed": "hashed", "cyclical": "cyclical", "multi-valued": "multivalued", "text": "text"}
"""The group of [features] of a role: a list of columns, or a table that says something of each."""

_LIMITS = (
    (r"(?:^|[^a-z])lat(?:itude)?$", -90, 90, "Degrees of latitude."),
    (r"(?:^|[^a-z])(?:lon|lng|longitude)$", -180, 180, "Degrees of longitude."),
    (r"(?:^|[^a-z])age$", 0, 130, "Years of a life."),
    (r"(?:^|[^a-z])(?:count|counts|tenure|num|n)(?:$|[^a-z])|number of|^num", 0, None, "A count is never below 0."),
)
"""Ranges that follow from what a column is, by its name; they are written where every value seen agrees."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """All that the files say.

    Attributes:
      given: the file's name.
      description: how the file is written.
      rows: of the file; `result` says how many are in the spans.
      parts: of the time, which are features.
      source: the table `[source]` of spans that were pulled; "" for a file's.
    """

    name: str
    given: str
    description: str
    rows: int
    label: Label
    cutting: Cutting
    result: Cut
    roles: Sequence[Role]
    left_out: Mapping[str, str]
    profiles: Mapping[str, Profile]
    parts: Sequence[Part] = ()
    source: str = ""


def dataset_toml(table: Table) -> str:
    """Returns dataset.toml."""
    spans = table.result.spans
    window = window_of(spans)
    rows = sum(span.rows for span in spans[-window:])
    typical = sorted(span.rows for span in spans)[len(spans) // 2]
    divided = {part.column for part in table.parts}
    groups: dict[str, list[str]] = {key: [] for key in (*_LISTS.values(), "never")}
    for role in table.roles:
        if role.role in _LISTS:
            groups[_LISTS[role.role]].append(role.name)
        elif role.role not in _TABLES and role.role != "label" and role.name not in divided:
            groups["never"].append(role.name)
    lines = [
        f"#:schema ./{SCHEMA_COPY}",
        f"# {table.name}: written by `init` from {table.given}; README.md has a table of the columns. Edit it freely.",
        f"name = {_text(table.name)}",
        'schema = "schema.pbtxt"',
        "",
        "[spans]",
        f"data = {_text(SPANS_FOLDER)}",
        *([] if table.source else ['format = "parquet"', 'pattern = "span-{SPAN}/data.parquet"']),
        f"window = {window}  # spans; {rows:,} rows here",
        "",
        *([table.source, ""] if table.source else []),
        "[label]",
        f"column = {_text(table.label.column)}",
        *_label_lines(table),
        "",
        "[features]",
        *(line for key, names in groups.items() for line in _list_of(key, names)),
    ]
    if rows < 1_600:
        lines.append(f"numeric_buckets = {max(4, rows // 100)}  # quantiles need rows: {rows:,} are few")
    for role_name, key in _TABLES.items():
        chosen = [role for role in table.roles if role.role == role_name]
        said = [f"{_text(role.name)} = {_text(role.separator) if role.separator else role.size}" for role in chosen]
        if chosen:
            lines += ["", f"[features.{key}]", *said]
    if table.parts:
        lines += [
            "",
            "# The moment itself is no feature, since it differs in every span; clients send it for these.",
            "[features.derived]",
            *(f"{_text(part.name)} = {_text(part.expression)}  # {part.why}" for part in table.parts),
        ]
    lines += [
        *training_lines(rows),
        "",
        *evaluation_lines(table.label, spans[-window:]),
        "",
        "[gate]",
        f"min_rows = {max(25, min(300, typical // 2))}  # half of a usual span ({typical:,} rows), at most 300",
        "",
        "[serving]",
        f"model_name = {_text(table.name)}",
        *threshold_lines(table.label, spans[-window:]),
    ]
    return "\n".join(lines) + "\n"


def _label_lines(table: Table) -> list[str]:
    label = table.label
    if label.task == "multiclass":
        return ['task = "multiclass"', *_list_of("classes", label.classes)]
    if label.task == "regression":
        log = [f'transform = "log1p"  # {label.transform_why}'] if label.transform == "log1p" else []
        return ['task = "regression"', *log]
    if label.is_plain:
        return []
    is_text = next(role for role in table.roles if role.name == label.column).type == "BYTES"
    values = [_text(str(value)) for value in label.positive] if is_text else [str(number) for number in label.numbers]
    return [f"positive = {values[0] if len(values) == 1 else '[' + ', '.join(values) + ']'}"]


def _list_of(key: str, items: Sequence[str] | Sequence[int]) -> list[str]:
    if not items:
        return []
    values = [_text(item) if isinstance(item, str) else str(item) for item in items]
    flat = f"{key} = [{', '.join(values)}]"
    if len(flat) <= 110:
        return [flat]
    return [f"{key} = [", *(f"    {value}," for value in values), "]"]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def schema_pbtxt(table: Table) -> str:
    """Returns the schema, from all rows, with limits that are not what these rows happened to hold."""
    parts = [
        f"# Written by `init` from all {table.result.rows:,} rows. Limits are what a value can be, as far as the "
        "rows can tell; README.md\n# names the columns. No `shape`: a value may be missing.\n"
    ]
    return "\n".join([*parts, *(_feature(table, role) for role in table.roles)])


def _feature(table: Table, role: Role) -> str:
    comments, domain = _domain(table, role)
    shares = [span.present.get(role.name, 0) / span.rows for span in table.result.spans]
    presence, why = _presence(min(shares), max(shares), role)
    lines = [f"# {line}" for line in [*comments, why] if line]
    lines += ["feature {", f"  name: {_text(role.name)}", f"  type: {role.type}", "  value_count { min: 1 max: 1 }"]
    lines += [presence] if presence else []
    lines += domain
    return "\n".join([*lines, "}"]) + "\n"


def _presence(least: float, most: float, role: Role) -> tuple[str, str]:
    if role.role == "label":
        return "  presence { min_fraction: 1.0 min_count: 1 }", ""
    if not role.is_feature or most < 0.1:
        return "", "No file needs the column." if not role.is_feature else f"Missing in {role.missing:.1%} of the rows."
    if least == 1:
        return "  presence { min_fraction: 0.99 min_count: 1 }", ""
    fraction = math.floor(90 * least) / 100
    seen = f"{1 - least:.1%}" if most - least < 0.005 else f"{1 - most:.1%} to {1 - least:.1%}"
    return f"  presence {{ min_fraction: {fraction:g} min_count: 1 }}", f"Missing in {seen} of a span's rows."


def _domain(table: Table, role: Role) -> tuple[list[str], list[str]]:
    """Returns comments and the lines of the feature's domain."""
    if role.role == "label" and table.label.task == "multiclass":
        return ["The label: a row of another class is refused."], _classes_domain(table.label)
    if role.role == "label" and role.type == "BYTES":
        comments, domain = _words_domain(table, role)
        return ["The label.", *comments], domain
    if role.role == "label":
        if table.label.task == "regression":
            return ["The label."], []
        limits = "min: 0 max: 1 " if table.label.is_plain else ""
        return ["The label."], [f"  int_domain {{ {limits}is_categorical: true }}"]
    if role.role == "cyclical":
        low = 1 if role.size == 12 else 0
        high = 7 if role.size == 7 else role.size - (0 if low else 1)
        return [], [f"  int_domain {{ min: {low} max: {high} is_categorical: true }}"]
    low_seen, high_seen = table.result.ranges.get(role.name, (math.nan, math.nan))
    if role.role in ("category", "hashed") and role.type == "BYTES":
        return _words_domain(table, role)
    if role.role in ("text", "multi-valued"):
        return ["Free text." if role.role == "text" else f"Values with {role.separator!r} between them."], []
    if role.role in ("category", "hashed"):
        if (low_seen, high_seen) == (0, 1):
            return ["Yes or no."], ["  int_domain { min: 0 max: 1 is_categorical: true }"]
        return ["Numbers that name things: an open list."], ["  int_domain { is_categorical: true }"]
    if role.role in ("date", "timestamp"):
        return ["ISO 8601, such as 2024-03-31 or 2024-03-31T14:30:00."], []
    if role.role not in ("numeric",):
        return [f"{role.role}: {role.why}."], []
    kind = "int_domain" if role.type == "INT" else "float_domain"
    finite = " disallow_nan: true disallow_inf: true" if role.type == "FLOAT" else ""
    for pattern, least, most, reason in _LIMITS:
        if re.search(pattern, role.name, re.IGNORECASE) and low_seen >= least and (most is None or high_seen <= most):
            limits = f" min: {least}" + ("" if most is None else f" max: {most}")
            return [reason], [f"  {kind} {{{limits}{finite} }}"]
    return [], [f"  {kind} {{{finite} }}"] if finite else []


def _classes_domain(label: Label) -> list[str]:
    if any(isinstance(name, int) for name in label.classes):
        return ["  int_domain { is_categorical: true }"]
    values = [f"    value: {_text(name)}" for name in label.outcomes]
    return ["  string_domain {", f"    name: {_text(label.column)}", *values, "  }"]


def _words_domain(table: Table, role: Role) -> tuple[list[str], list[str]]:
    profile = table.profiles[role.name]
    # Good and Turing: the share of rows whose value occurs once estimates how often the next row's value is new.
    once = sum(count == 1 for count in profile.counts.values())
    new = once / max(profile.counted, 1)
    if len(profile.counts) > _CLOSED_MOST or new > _NEW_VALUES:
        return [f"An open list: {len(profile.counts):,} values seen, {once:,} of them once."], []
    values = sorted(str(value) for value in profile.counts)
    return (
        ["Every value was seen; another one is news, but one in a hundred is no reason to stop."],
        [
            f"  distribution_constraints {{ min_domain_mass: {_DOMAIN_MASS:g} }}",
            "  string_domain {",
            f"    name: {_text(role.name)}",
            *(f"    value: {_text(value)}" for value in values),
            "  }",
        ],
    )


def readme_md(table: Table) -> str:
    """Returns README.md: where the data come from, the columns with room for their meaning, the spans."""
    spans = table.result.spans
    columns = "".join(
        f"| {_cell(f'`{role.name}`')} | {role.type} | {role.role} | {_cell(role.why)} | {role.missing:.1%} | |\n"
        for role in table.roles
    )
    derived = "".join(f"`{part.name}` is derived, `` {part.expression} ``: {part.why}.\n\n" for part in table.parts)
    left_out = "".join(f"- {name} was left out: {why}.\n" for name, why in table.left_out.items())
    dropped = [
        (table.result.without_label, "had no label"),
        (table.result.without_time, f"had no {table.cutting.time}"),
    ]
    left_out += "".join(f"- {rows:,} rows were left out: they {why}.\n" for rows, why in dropped if rows)
    count = f"{len(spans)} span{'s' if len(spans) > 1 else ''}"
    listed = "".join(
        f"| {span.number} | {span.begins} | {span.rows:,} | {_of_label(table.label, span)} |\n" for span in spans
    )
    return f"""# {table.name}

{table.result.rows:,} rows in {count}, from {table.given} ({table.description}).
Label: `{table.label.column}`; {_label_text(table.label)}.
Source, licence and who answers questions: *fill in*.

{left_out or "Every row and column of it is here."}
## Columns
A request to the model holds the features under these names, as the spans hold them: numbers plain (no currency, no
thousands mark; per cent as 12 for 12 %), true as 1 and false as 0, a date as text such as 2024-03-31 or
2024-03-31T14:30:00, several values as one text with their separator between them, a missing value left out.

| column | type | role | why | missing | meaning, unit |
|---|---|---|---|---:|---|
{columns}
{derived}`never` in `dataset.toml` lists what is no feature. To change a role, move the name to another list.

## Spans
{_cutting_text(table.cutting, spans)}

| span | begins | rows | {_LABEL_HEADS[table.label.task]} |
|---:|---|---:|---:|
{listed}"""


def _label_text(label: Label) -> str:
    if label.task == "multiclass":
        return f"one of {len(label.classes)} classes: {', '.join(f'`{name}`' for name in label.classes)}"
    if label.task == "regression":
        return "a number" + (f", learned as log1p: {label.transform_why}" if label.transform == "log1p" else "")
    return f"{' or '.join(f'`{value}`' for value in label.positive)} counts as 1, every other value as 0"


_LABEL_HEADS: Mapping[TaskName, str] = {
    "binary": "label 1",
    "multiclass": "most frequent class",
    "regression": "mean label",
}


def _of_label(label: Label, span: SpanSummary) -> str:
    """Returns what the list of spans says of a span's labels."""
    if label.task == "regression":
        return f"{span.total / span.rows:.5g}"
    if label.task == "binary":
        return f"{span.classes[1] / span.rows:.1%}"
    most = int(span.classes.argmax())
    return _cell(f"`{label.classes[most]}`, {span.classes[most] / span.rows:.1%}")


def _cutting_text(cutting: Cutting, spans: Sequence[SpanSummary]) -> str:
    if cutting.pulled:
        return "Pulled as `[source]` in `dataset.toml` says; `pull` brings the next, and `watch` does so by itself."
    if cutting.time:
        gaps = "" if spans[-1].number == len(spans) else " A period without rows has no span; its number is kept free."
        return (
            f"Cut by `{cutting.time}`, one span a {cutting.every} (UTC); the next {cutting.every} is span "
            f"{spans[-1].number + 1}.{gaps} Keep its file as `{SPANS_FOLDER}/span-{spans[-1].number + 1}/data.parquet`."
        )
    if cutting.rows:
        return (
            f"Cut every {cutting.rows:,} rows in the order of the file, because no time was named (`--time COLUMN "
            "--every month`). If the file's order is not that of time, what a span is compared with is not its past."
        )
    if len(spans) > 1:
        return "One span a file, in the order of their names."
    return (
        "One span, because no time was named (`--time COLUMN --every month`). The next rows are `"
        f"{SPANS_FOLDER}/span-2/data.parquet`."
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
