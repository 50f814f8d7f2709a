"""The label: which column is predicted, by which task, and which of its values counts as what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from models.task_names import TaskName, TransformName
from pipeline.errors import ConfigError, clipped
from pipeline.onboarding import names
from pipeline.onboarding.label_values import Numbers, in_order, numbers_of
from pipeline.onboarding.profile import Profile, Value, convert
from pipeline.onboarding.readings import MISSING_NUMBER, Reading

_PAIRS = (
    *(("1", "0"), ("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("positive", "negative"), ("pos", "neg")),
    *(("ja", "nein"), ("oui", "non"), ("si", "no"), ("sí", "no"), ("sim", "não"), ("on", "off")),
)
"""Pairs of words whose first means yes."""
_WORDS_OF_NUMBERS = {"true": "1", "false": "0"}
_TEXT = Reading("text", "words")
_MOST_CLASSES = 50
_MOST_NUMBERED = 20
"""Whole numbers that are taken as classes; more of them are a quantity."""
CLASS_ROWS = 10
"""Rows of a class at least: its share in training, two thirds, then holds the two that training asks for."""
_MOST_SHOWN = 6
_LEAST_PRESENT = 0.5
_UNIQUE = 0.95


@dataclass(frozen=True, kw_only=True)
class Label:
    """The column that is predicted.

    Attributes:
      why: how its task was told, in words.
      positive: of a binary task, its values, as the file has them, that count as 1.
      reading: how the file's values are compared with those.
      is_plain: the spans hold 0 and 1, and 1 counts as 1.
      classes: of a multiclass task, as the spans hold them.
      transform: of a regression.
      transform_why: in words, with the figures that decided.
      floor: the R² of the centre that a transformed label has, at most 0.
    """

    column: str
    task: TaskName = "binary"
    why: str = ""
    positive: tuple[Value, ...] = ()
    reading: Reading = _TEXT
    is_plain: bool = False
    classes: tuple[str, ...] | tuple[int, ...] = ()
    transform: TransformName = "none"
    transform_why: str = ""
    floor: float = 0.0

    @property
    def numbers(self) -> tuple[int, ...]:
        """The positive values where the spans hold the column as INT."""
        return tuple(int(float(_WORDS_OF_NUMBERS.get(_word(value), _word(value)))) for value in self.positive)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """What a classifier answers, in the order of the targets; none of a regression."""
        if self.task == "regression":
            return ()
        return tuple(map(str, self.classes)) or ("0", "1")

    def from_least(self, least: float) -> Label:
        """Returns the label, the least number of all rows being known: a long file's first ones chose the transform."""
        if self.transform == "none" or least >= 0:
            return self
        return replace(self, transform="none", transform_why="", floor=0.0)

    def targets(self, raw: pa.Array, typed: pa.Array) -> pa.Array:
        """Returns the label of each row: 0 or 1, the index of its class, or its number; null where there is none.

        Args:
          raw: the column as the file has it.
          typed: as the spans hold it.
        """
        if self.task == "multiclass":
            return pc.index_in(typed, value_set=pa.array(self.classes, typed.type)).cast(pa.int64())
        if self.task == "regression":
            numbers = typed.cast(pa.float64(), safe=False)
            return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))
        compared = convert(raw, self.reading)
        positive = pc.is_in(compared, pa.array(self.positive).cast(compared.type))
        return pc.if_else(typed.is_valid(), positive, pa.scalar(None, pa.bool_())).cast(pa.int64())


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A column that could be predicted.

    Attributes:
      values: some of them; of a regression the least and the greatest.
      positive: one of two values where it is not clear which counts as 1, else "".
    """

    column: str
    task: TaskName
    values: tuple[str, ...]
    positive: str = ""

    @property
    def described(self) -> str:
        """Its values in words."""
        return (" to " if self.task == "regression" else ", ").join(self.values)


@dataclass(frozen=True)
class _Column:
    """A column and its values, the most frequent first, those that mean "missing" apart."""

    profile: Profile
    reading: Reading
    values: tuple[Value, ...]

    @property
    def where(self) -> str:
        return f"--label {self.profile.name!r}"

    @property
    def is_whole(self) -> bool:
        return self.reading.kind in ("number", "boolean") and self.reading.style not in self.profile.not_whole

    @property
    def numbers(self) -> Numbers | None:
        """The values as numbers; None where they are none."""
        return numbers_of(self.profile, self.reading) if self.reading.kind in ("number", "boolean") else None

    @property
    def stray(self) -> str:
        """A sentence with a blank in front where one value keeps the column from being numbers."""
        value = clipped(self.profile.stray, 30) if self.reading.kind == "text" else ""
        return f" The values would be numbers, but {value!r} is none: correct it in the file." if value else ""

    @property
    def listed(self) -> str:
        shown = ", ".join(
            f"{clipped(str(value), 30)!r} ({self.profile.counts[value]:,})" for value in self.values[:_MOST_SHOWN]
        )
        more = f" and {len(self.values) - _MOST_SHOWN:,} more" if len(self.values) > _MOST_SHOWN else ""
        return shown + more


def choose_label(
    profile: Profile, reading: Reading, positive: Sequence[str] = (), task: TaskName | None = None
) -> Label:
    """Returns the label, or says in one line why the column cannot be one.

    Args:
      positive: the values that count as 1; empty to recognise a pair such as Yes and No.
      task: None to tell it from the values.

    Raises:
      ConfigError: the column has one value, hardly any, or no values of the task; or a value is not there.
    """
    column = _column(profile, reading)
    if positive and task not in (None, "binary"):
        raise ConfigError(f"--positive says which values count as 1, of --task binary. Received: --task {task}.")
    if positive:
        return _with_positive(column, positive)
    if task is not None:
        return _MADE[task](column, "as --task says")
    told, why = _told(column)
    return _MADE[told](column, why)


def candidates(profiles: Mapping[str, Profile], readings: Mapping[str, Reading]) -> list[Candidate]:
    """Returns the columns that could be a label, the likeliest first: by name, by place, then by task."""
    found: list[tuple[tuple[bool, bool, int], Candidate]] = []
    last = list(profiles)[-1]
    for name, profile in profiles.items():
        try:
            column = _column(profile, readings[name])
            task, _ = _told(column)
        except ConfigError:
            continue
        if names.IDENTIFIER.search(name) or names.PERSONAL.search(name):
            continue
        numbers = column.numbers
        if task == "regression" and numbers is not None:
            values: tuple[str, ...] = (f"{numbers.least:g}", f"{numbers.greatest:g}")
        else:
            values = tuple(str(value) for value in column.values[:_MOST_SHOWN])
        positive = "" if task != "binary" or _pair(column.values) is not None else values[-1]
        order = (not names.LABEL.search(name), name != last, list(_MADE).index(task))
        found.append((order, Candidate(column=name, task=task, values=values, positive=positive)))
    return [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]


def _column(profile: Profile, reading: Reading) -> _Column:
    """Refuses what no task can predict."""
    values = sorted(profile.counts, key=lambda value: (-profile.counts[value], str(value)))
    if reading.kind != "text":
        values = [value for value in values if str(value).lower() not in MISSING_NUMBER]
    where = f"--label {profile.name!r}"
    missing = profile.rows - profile.present
    if profile.present < _LEAST_PRESENT * profile.rows or not values:
        missing = missing if values else profile.rows
        raise ConfigError(
            f"{where}: the label is missing in {missing:,} of {profile.rows:,} rows. Name a column that most rows have."
        )
    if len(values) < 2:
        gaps = f" ({missing:,} rows have none: NA, ? and - mean missing)" if missing else ""
        raise ConfigError(f"{where}: every row has the one value {values[0]!r}{gaps}, so there is nothing to predict.")
    return _Column(profile, reading, tuple(values))


def _told(column: _Column) -> tuple[TaskName, str]:
    """Returns the task that the values speak for, and how they do."""
    profile, count = column.profile, len(column.values)
    if count == 2:
        return "binary", "two values"
    if column.reading.kind == "date":
        raise ConfigError(
            f"{column.where}: it holds dates, and a date is not predicted. Add a column with the days until then, and "
            "name that; or say which of its values count as 1: --positive VALUE [VALUE ...]."
        )
    numbers = column.numbers
    if numbers is not None:
        names_rows = numbers.are_numbered or names.IDENTIFIER.search(profile.name)
        if column.is_whole and profile.distinct_share > _UNIQUE and names_rows:
            raise _unique(column)
        span = f"from {numbers.least:g} to {numbers.greatest:g}"
        if column.is_whole and _are_classes(numbers) and not names.COUNT.search(profile.name):
            return "multiclass", f"{count} whole numbers {span}; --task regression predicts a number"
        return "regression", f"{'whole numbers' if column.is_whole else 'numbers'} {span}"
    if profile.distinct_share > _UNIQUE and not column.stray:
        raise _unique(column)
    return "multiclass", f"{count:,} texts"


def _are_classes(numbers: Numbers) -> bool:
    distinct = len(numbers.values)
    is_dense = numbers.greatest - numbers.least < 2 * distinct
    return distinct <= _MOST_NUMBERED and is_dense and int(numbers.counts.min()) >= CLASS_ROWS


def _unique(column: _Column) -> ConfigError:
    return ConfigError(
        f"{column.where}: nearly every row has a value of its own, so it is no label. Name another column."
    )


def _binary(column: _Column, why: str) -> Label:
    if len(column.values) > 2:
        raise ConfigError(
            f"{column.where}: it has {len(column.values):,} values. Say which count as 1: --positive VALUE "
            f"[VALUE ...]; or leave --task out. Values: {column.listed}."
        )
    yes = _pair(column.values)
    if yes is None:
        options = " or ".join(f'--positive "{value}"' for value in column.values)
        raise ConfigError(f"{column.where}: it is not clear which of its two values counts as 1. Add {options}.")
    return _of_positive(column, (yes,), why)


def _pair(values: Sequence[Value]) -> Value | None:
    """Returns the value that means yes where two are a pair of words."""
    words = {_word(value): value for value in values}
    return next((words[yes] for yes, no in _PAIRS if set(words) == {yes, no}), None)


def _with_positive(column: _Column, positive: Sequence[str]) -> Label:
    by_word: dict[str, list[Value]] = {}
    for value in column.values:
        by_word.setdefault(_word(value), []).append(value)
    chosen: list[Value] = []
    for text in positive:
        exact = [value for value in column.values if str(value) == text]
        matches = exact or by_word.get(_word(text), [])
        if not matches:
            shown = ", ".join(repr(str(value)) for value in column.values[:_MOST_SHOWN])
            raise ConfigError(
                f"--positive {text!r}: the column {column.profile.name!r} has no such value. It has: {shown}."
            )
        chosen += matches
    if len(chosen) == len(column.values):
        raise ConfigError(
            f"--positive: every value of {column.profile.name!r} counts as 1, so there is nothing to predict."
        )
    return _of_positive(column, tuple(chosen), "as --positive says")


def _of_positive(column: _Column, positive: tuple[Value, ...], why: str) -> Label:
    numbers = {_WORDS_OF_NUMBERS.get(_word(value), _word(value)) for value in column.values}
    ones = {_WORDS_OF_NUMBERS.get(_word(value), _word(value)) for value in positive}
    is_plain = column.reading.kind in ("number", "boolean") and numbers == {"0", "1"} and ones == {"1"}
    compared = column.reading if column.profile.typed else _TEXT
    return Label(column=column.profile.name, why=why, positive=positive, reading=compared, is_plain=is_plain)


def _multiclass(column: _Column, why: str) -> Label:
    count = len(column.values)
    if count > _MOST_CLASSES:
        number = " --task regression predicts the number." if column.numbers is not None else ""
        raise ConfigError(
            f"{column.where}: it has {count:,} values, and a model here tells at most {_MOST_CLASSES} classes apart."
            f"{number}{column.stray} Say which count as 1, --positive VALUE [VALUE ...], or join values. Values: "
            f"{column.listed}."
        )
    numbers = column.numbers if column.is_whole else None
    if numbers is not None:
        classes: tuple[int, ...] | tuple[str, ...] = tuple(int(value) for value in numbers.values)
        rows = dict(zip(map(str, classes), numbers.counts.tolist(), strict=True))
    else:
        classes = in_order([str(value) for value in column.values])
        rows = {str(value): column.profile.counts[value] for value in column.values}
    rare = [f"{clipped(name, 30)!r} ({rows[name]})" for name in map(str, classes) if rows[name] < CLASS_ROWS]
    if rare:
        number = ", take --task regression" if numbers is not None else ""
        raise ConfigError(
            f"{column.where}: a class needs {CLASS_ROWS} rows to be learned and judged, and these have fewer: "
            f"{', '.join(rare[:_MOST_SHOWN])}. Join them with others in the file{number}, or say which values count "
            "as 1: --positive VALUE [VALUE ...]."
        )
    return Label(column=column.profile.name, task="multiclass", why=why, classes=classes)


def _regression(column: _Column, why: str) -> Label:
    numbers = column.numbers
    if numbers is None:
        raise ConfigError(
            f"{column.where}: --task regression predicts a number, and this column holds "
            f"{'dates' if column.reading.kind == 'date' else 'texts'}.{column.stray} Values: {column.listed}."
        )
    transform: TransformName = "log1p" if numbers.gain_by_log else "none"
    return Label(
        column=column.profile.name,
        task="regression",
        why=why,
        transform=transform,
        transform_why=numbers.why_log,
        floor=numbers.centre_r_squared if numbers.gain_by_log else 0.0,
    )


_MADE: Mapping[TaskName, Callable[[_Column, str], Label]] = {
    "binary": _binary,
    "multiclass": _multiclass,
    "regression": _regression,
}


def _word(value: Value) -> str:
    """Returns a value as people compare it: 1, 1.0, True and "1" are alike where they are numbers."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value).strip().casefold()
    try:
        number = float(text)
    except ValueError:
        return text
    return f"{number:g}" if number == int(number if abs(number) < 1e300 else 0) else text
