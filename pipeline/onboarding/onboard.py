"""From a file to a dataset's folder, in order; what it writes appears whole or not at all."""

from __future__ import annotations

import difflib
import filecmp
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.errors import FeatureError
from models.task_names import TaskName
from models.tensor_names import check_column_name
from pipeline.config import json_schema
from pipeline.config.dataset import SHIPPED, load_dataset
from pipeline.errors import ConfigError
from pipeline.onboarding import folder as texts
from pipeline.onboarding import own_model
from pipeline.onboarding.calendar_parts import calendar_parts
from pipeline.onboarding.cut import Cutting, Typed, cut
from pipeline.onboarding.folder import SPANS_FOLDER, Table
from pipeline.onboarding.label import Candidate, Label, candidates, choose_label
from pipeline.onboarding.profile import Profile, has_decimal_commas, profile, reading_of
from pipeline.onboarding.query import Query, as_table, pull_all, take_types
from pipeline.onboarding.readings import Reading
from pipeline.onboarding.roles import propose
from pipeline.onboarding.sources import Source, open_source
from pipeline.sources.periods import Every

_DATASET = "dataset.toml"
_SCRATCH = "cut"
"""Below the folder that is being made: the typed rows of a query, whose spans are kept as they were pulled."""
_TEXT = Reading("text", "words")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
ModelFate = Literal["written", "kept"] | None


class NoLabelError(ConfigError):
    """No label was named. `candidates` are those that there are, the likeliest first."""

    def __init__(self, text: str, options: Sequence[Candidate]) -> None:
        super().__init__(text)
        self.candidates = list(options)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the user asked for. `out` and `name` None: from the file's name. With a query, `path` is only what it is
    called in messages."""

    path: Path
    query: Query | None = None
    label: str | None = None
    positive: tuple[str, ...] = ()
    task: TaskName | None = None
    time: str | None = None
    every: Every | None = None
    rows_per_span: int | None = None
    out: Path | None = None
    name: str | None = None
    force: bool = False
    own_model: bool = False


@dataclass(frozen=True, kw_only=True)
class Onboarded:
    """What is in the folder, or would be.

    Attributes:
      written: False where the folder was there and --force was not given.
      diff: against what was there, as `diff -u` shows it.
      model: what became of model.py; None where none was asked for, or nothing was written.
    """

    folder: Path
    table: Table
    written: bool
    diff: str
    model: ModelFate = None


def onboard(wish: Wish, progress: Callable[[str], None]) -> Onboarded:
    """Reads the table twice and writes the dataset's folder.

    Raises:
      NoLabelError: no label was named.
      ConfigError: the command asks for something that the table has not.
      DataError: the table is damaged.
    """
    name, target = _name_and_folder(wish)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}.init")
    try:
        return _onboard(wish, name, target, aside, progress)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _onboard(wish: Wish, name: str, target: Path, aside: Path, progress: Callable[[str], None]) -> Onboarded:
    """Reads, cuts and describes the table in the folder `aside`, and gives it its name."""
    pulled = pull_all(wish.query, aside, target, aside / SPANS_FOLDER, progress) if wish.query else []
    source = as_table(pulled) if pulled else open_source(wish.path)
    _check_columns(wish, source)
    profiles = profile(source, lambda rows: progress(f"reading {wish.path.name}: {rows:,} rows"))
    if not next(iter(profiles.values())).rows:
        raise ConfigError(f"{wish.path}: the table has a header and no rows.")
    if wish.query:
        take_types(profiles, source)
    decimal_comma = has_decimal_commas(profiles, source)
    readings = {column: reading_of(one, decimal_comma) for column, one in profiles.items()}
    if wish.label is None:
        raise _no_label(wish, profiles, readings)
    label = choose_label(profiles[wish.label], readings[wish.label], wish.positive, wish.task)
    if wish.time is not None:
        dates = [reading for reading in profiles[wish.time].candidates if reading.kind == "date"]
        if dates and profiles[wish.time].typed is None:
            readings[wish.time] = dates[0]
    columns = {
        column: _typed(profiles[column], reading, label if column == label.column else None, column == wish.time)
        for column, reading in readings.items()
    }
    cutting = Cutting(
        time=wish.time,
        every=None if wish.query else wish.every,
        rows=wish.rows_per_span,
        pulled=tuple((one.span, one.begin[:16].replace("T", " ")) for one in pulled),
    )
    result = cut(
        source,
        columns,
        label,
        cutting,
        profiles[label.column].present,
        aside / (_SCRATCH if wish.query else SPANS_FOLDER),
        lambda rows: progress(f"writing spans: {rows:,} rows"),
    )
    shutil.rmtree(aside / _SCRATCH, ignore_errors=True)
    label = label.from_least(result.ranges.get(label.column, (0.0, 0.0))[0])
    roles = propose(profiles, columns, label, cutting, result)
    table = Table(
        name=name,
        given=wish.path.name,
        description=f"SQL, {wish.query.url}" if wish.query else source.description,
        rows=profiles[label.column].rows,
        label=label,
        cutting=cutting,
        result=result,
        roles=roles,
        parts=calendar_parts(roles, label, wish.every, result),
        left_out=source.left_out,
        profiles=profiles,
        source=wish.query.toml() if wish.query else "",
    )
    _write_texts(table, aside, wish)
    return _install(aside, target, table, wish.force)


def _name_and_folder(wish: Wish) -> tuple[str, Path]:
    """Returns the dataset's name and folder; both from the file's name where they are not given."""
    stem = wish.path.resolve().name
    while "." in stem[1:]:
        stem = stem.rpartition(".")[0]
    ascii_stem = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    name = wish.name or re.sub(r"[^a-z0-9]+", "-", wish.out.name.lower() if wish.out else ascii_stem).strip("-")[:63]
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--name: expected 1 to 63 lower-case letters, digits and dashes. Received: {name!r}. Give --name NAME."
        )
    if (SHIPPED / name / _DATASET).exists() and wish.out is None:
        raise ConfigError(
            f"A dataset {name!r} ships with driftgate, and --dataset {name} means that. Give --name NAME."
        )
    target = wish.out or Path(name)
    if wish.query is None and target.resolve() == wish.path.resolve():
        target = target.with_name(f"{target.name}-dataset")
    if target.exists() and not (target / _DATASET).is_file() and (target.is_file() or any(target.iterdir())):
        raise ConfigError(f"{target}: it is there already and holds no dataset. Name another folder with --out DIR.")
    return name, target


def _check_columns(wish: Wish, source: Source) -> None:
    """Refuses names that no schema takes, and options that name no column, before the table is read."""
    for column in source.columns:
        try:
            check_column_name(column)
        except FeatureError as error:
            raise ConfigError(f"{source.files[0]}: {error}") from error
    for option, wanted in (("--label", wish.label), ("--time", wish.time)):
        if wanted is not None and wanted not in source.columns:
            close = difflib.get_close_matches(wanted, source.columns, 1, 0.5)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"{option}: there is no column {wanted!r}.{meant} Columns: {', '.join(source.columns)}.")
    if wish.time is not None and wish.time == wish.label:
        raise ConfigError(f"--time and --label name the same column, {wish.time!r}.")
    if wish.query is None and (wish.time is None) != (wish.every is None):
        raise ConfigError(
            "--time COLUMN and --every PERIOD belong together: one says when, the other how long a span is."
        )
    if wish.time is not None and wish.rows_per_span is not None:
        raise ConfigError("--time and --rows-per-span exclude each other: spans are cut by time or by rows.")


def _no_label(wish: Wish, profiles: dict[str, Profile], readings: dict[str, Reading]) -> NoLabelError:
    options = [one for one in candidates(profiles, readings) if one.column != wish.time]
    if not options:
        return NoLabelError(
            f"{wish.path}: no column has two values, a few classes or numbers, as a label has. Name one with "
            f"--label COLUMN --positive VALUE. Columns: {', '.join(profiles)}.",
            options,
        )
    return NoLabelError(f"{wish.path}: which column is to be predicted? Add --label.", options)


def _typed(column: Profile, reading: Reading, label: Label | None, is_time: bool) -> Typed:
    is_number = reading.kind == "number" and reading.style not in column.not_whole
    if label is not None and label.task != "regression" and reading.kind != "boolean" and not is_number:
        # A classifier's values are compared, not computed with.
        return Typed(reading=_TEXT, type="BYTES")
    if reading.kind == "boolean":
        return Typed(reading=reading, type="INT")
    if reading.kind == "date":
        if is_time:
            return Typed(reading=reading, type="INT", date="seconds")
        has_times = column.has_times or "%H" in reading.style or "%I" in reading.style
        return Typed(reading=reading, type="BYTES", date="moment" if has_times else "day")
    if reading.kind == "number":
        return Typed(reading=reading, type="FLOAT" if reading.style in column.not_whole else "INT")
    return Typed(reading=reading, type="BYTES")


def _write_texts(table: Table, aside: Path, wish: Wish) -> None:
    """Writes the three texts, and loads the dataset as `run` will: what is written is never refused later."""
    if not any(role.is_feature for role in table.roles):
        roles = "; ".join(f"{role.name!r} is {role.role}: {role.why}" for role in table.roles)
        raise ConfigError(f"{wish.path}: no column is left as a feature. {roles}.")
    dataset = texts.dataset_toml(table)
    if wish.own_model:
        (aside / own_model.FILE).write_text(own_model.example(), encoding="utf-8")
        dataset = own_model.naming_it(dataset)
    for file, text in (
        (texts.SCHEMA_COPY, json_schema.FILE.read_text(encoding="utf-8")),
        (_DATASET, dataset),
        ("schema.pbtxt", texts.schema_pbtxt(table)),
        ("README.md", texts.readme_md(table)),
    ):
        (aside / file).write_text(text, encoding="utf-8")
    load_dataset(str(aside))


def _install(aside: Path, target: Path, table: Table, force: bool) -> Onboarded:
    """Gives the folder its name; of one that is there, exchanges what `init` writes, and nothing else."""
    model = aside / own_model.FILE
    if not target.exists() or not any(target.iterdir()):
        if target.exists():
            target.rmdir()
        fate: ModelFate = "written" if model.exists() else None
        aside.rename(target)
        return Onboarded(folder=target, table=table, written=True, diff="", model=fate)
    diff = _diff(target, aside, pulled=bool(table.source))
    if not (force and diff):
        return Onboarded(folder=target, table=table, written=False, diff=diff)
    fate = None
    if model.exists():
        fate = "kept" if (target / own_model.FILE).exists() else "written"
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    old.mkdir()
    if fate == "written":  # Never over an edited one.
        model.rename(target / own_model.FILE)
    # dataset.toml comes last: until then the folder says what it said before.
    for entry in (SPANS_FOLDER, "README.md", "schema.pbtxt", texts.SCHEMA_COPY, _DATASET):
        if (target / entry).exists():
            (target / entry).rename(old / entry)
        (aside / entry).rename(target / entry)
    shutil.rmtree(old, ignore_errors=True)
    return Onboarded(folder=target, table=table, written=True, diff=diff, model=fate)


def _diff(old: Path, new: Path, *, pulled: bool) -> str:
    """Returns how two folders differ; spans that were pulled say when, so they always do and are left out."""
    lines: list[str] = []
    for file in (_DATASET, "schema.pbtxt", "README.md"):
        before = (old / file).read_text(encoding="utf-8").splitlines() if (old / file).exists() else []
        after = (new / file).read_text(encoding="utf-8").splitlines()
        lines += difflib.unified_diff(before, after, f"{old.name}/{file}", f"{old.name}/{file} (new)", lineterm="", n=1)
    if (new / own_model.FILE).exists() and not (old / own_model.FILE).exists():
        lines.append(f"+ {own_model.FILE}")
    if pulled:
        return "\n".join(lines)
    before_files = {path.relative_to(old) for path in (old / SPANS_FOLDER).rglob("*") if path.is_file()}
    after_files = {path.relative_to(new) for path in (new / SPANS_FOLDER).rglob("*") if path.is_file()}
    lines += [f"- {path}" for path in sorted(before_files - after_files)]
    for path in sorted(after_files):
        if path not in before_files:
            lines.append(f"+ {path}")
        elif not filecmp.cmp(old / path, new / path, shallow=False):
            lines.append(f"~ {path}")
    return "\n".join(lines)
