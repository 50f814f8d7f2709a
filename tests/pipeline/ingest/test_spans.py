"""Span discovery follows TFX's pattern rules."""

import os

import pytest

from pipeline.errors import ConfigError, DataError, SpanNotFoundError
from pipeline.ingest import spans


def write(root, *paths):
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x\n")


def test_spans_are_numbers_and_padding_does_not_matter(tmp_path):
    write(tmp_path, "span-2/data.csv", "span-010/data.csv", "span-x/data.csv", "other/data.csv")

    found = spans.newest_versions(str(tmp_path), "span-{SPAN}/data.csv", "")

    assert list(found) == [2, 10]


def test_a_width_wants_exactly_so_many_digits(tmp_path):
    write(tmp_path, "span-02/data.csv", "span-123/data.csv")

    found = spans.newest_versions(str(tmp_path), "span-{SPAN:2}/data.csv", "")

    assert list(found) == [2]


def test_the_highest_version_replaces_the_others(tmp_path):
    write(tmp_path, "span-1/v1/data.csv", "span-1/v10/data.csv", "span-1/v9/data.csv")

    (file,) = spans.newest_versions(str(tmp_path), "span-{SPAN}/v{VERSION}/data.csv", "")[1]

    assert (file.version, file.path) == (10, str(tmp_path / "span-1/v10/data.csv"))


def test_a_span_may_have_several_files(tmp_path):
    write(tmp_path, "span-1/a.csv", "span-1/b.csv")

    files = spans.newest_versions(str(tmp_path), "span-{SPAN}/*.csv", "")[1]

    assert [file.path[-5:] for file in files] == ["a.csv", "b.csv"]


def test_a_date_counts_the_days_since_1970(tmp_path):
    write(tmp_path, "1970-01-02/data.csv", "2024-02-31/data.csv", "2024-02-29/data.csv")

    found = spans.newest_versions(str(tmp_path), "{YYYY}-{MM}-{DD}/data.csv", "")

    # 2024-02-29: 54 years of 365 days, 13 leap days before 2024, and 59 days into the year.
    assert list(found) == [1, 54 * 365 + 13 + 59]


def test_the_newest_span_is_chosen_where_none_is_named(tmp_path):
    write(tmp_path, "span-9/data.csv", "span-10/data.csv")

    assert spans.choose_span(str(tmp_path), "span-{SPAN}/data.csv", "")[0].span == 10


def test_a_missing_span_names_what_exists(tmp_path):
    write(tmp_path, "span-1/data.csv")

    with pytest.raises(SpanNotFoundError, match=r"Span 7 does not match 'span-\{SPAN\}/data.csv' .* Found: 1\."):
        spans.choose_span(str(tmp_path), "span-{SPAN}/data.csv", "", 7)


@pytest.mark.parametrize("pattern", ["data.csv", "{SPAN}/{SPAN}.csv", "{YYYY}-{MM}.csv", "{SPAN}/{YYYY}{MM}{DD}.csv"])
def test_a_pattern_that_names_no_one_span_is_refused(pattern):
    with pytest.raises(ConfigError, match=r"needs \{SPAN\} once"):
        spans.check_pattern(pattern)


def test_two_versions_in_a_pattern_are_refused():
    with pytest.raises(ConfigError, match=r"\{VERSION\} once"):
        spans.check_pattern("{SPAN}/{VERSION}/{VERSION}")


def test_two_folders_that_are_the_same_span_are_an_error(tmp_path):
    write(tmp_path, "span-2/data.csv", "span-02/data.csv", "span-3/data.csv")

    with pytest.raises(DataError, match=r"are the same span 2, version 0. Remove or rename one") as caught:
        spans.newest_versions(str(tmp_path), "span-{SPAN}/data.csv", "")

    assert str(tmp_path / "span-2/data.csv") in str(caught.value)
    assert str(tmp_path / "span-02/data.csv") in str(caught.value)


@pytest.mark.parametrize("name", ["a[b]", "a*", "a?", "{SPAN}b"])
def test_a_data_folder_is_never_a_wildcard(tmp_path, name):
    write(tmp_path, f"{name}/span-1/data.csv", "ab/span-2/data.csv", "{SPAN}/span-3/data.csv")

    (file,) = spans.all_versions(str(tmp_path / name), "span-{SPAN}/*.csv", "")

    assert (file.span, file.path) == (1, str(tmp_path / name / "span-1" / "data.csv"))


def test_a_bucket_with_wildcards_in_its_path_is_refused():
    with pytest.raises(ConfigError, match=r"they are wildcards there. Received: gs://b/a\*. Name another"):
        spans.choose_span("gs://b/a*", "span-{SPAN}/data.csv", "")


VERSIONED = "span-{SPAN}/v{VERSION}/*.csv"


def test_a_version_without_its_marker_is_not_there(tmp_path):
    write(tmp_path, "span-1/v1/a.csv", "span-1/v1/b.csv", "span-1/v1/_SUCCESS", "span-1/v2/a.csv", "span-2/v1/a.csv")

    found = spans.newest_versions(str(tmp_path), VERSIONED, "_SUCCESS")
    waiting = spans.incomplete(str(tmp_path), VERSIONED, "_SUCCESS")

    assert {span: [file.path[-8:] for file in files] for span, files in found.items()} == {1: ["v1/a.csv", "v1/b.csv"]}
    assert {span: (file.version, file.marker) for span, file in waiting.items()} == {
        1: (2, str(tmp_path / "span-1/v2/_SUCCESS")),
        2: (1, str(tmp_path / "span-2/v1/_SUCCESS")),
    }


def test_a_marked_version_leaves_nothing_of_lower_ones_to_wait_for(tmp_path):
    write(tmp_path, "span-1/v1/a.csv", "span-1/v2/a.csv", "span-1/v2/_SUCCESS")

    assert spans.incomplete(str(tmp_path), VERSIONED, "_SUCCESS") == {}


@pytest.mark.parametrize(
    ("pattern", "marker", "file", "place"),
    [
        ("span-{SPAN}/data.csv", "_SUCCESS", "span-01/data.csv", "span-01/_SUCCESS"),
        ("{SPAN}/v{VERSION}/*/*.csv", "_SUCCESS", "1/v2/east/a.csv", "1/v2/_SUCCESS"),
        ("region=*/day-{SPAN}/a.csv", ".done", "region=x/day-1/a.csv", "region=x/day-1/.done"),
        ("{YYYY}/{MM}-{DD}.csv", "{MM}-{DD}.done", "2024/05-09.csv", "2024/05-09.done"),
        ("day-{SPAN:3}.csv", "day-{SPAN:3}.ok", "day-007.csv", "day-007.ok"),
    ],
)
def test_a_marker_is_beside_what_it_marks(tmp_path, pattern, marker, file, place):
    spans.check_marker(pattern, marker)
    write(tmp_path, file)
    (waiting,) = spans.incomplete(str(tmp_path), pattern, marker).values()
    assert waiting.marker == str(tmp_path / place)
    assert spans.all_versions(str(tmp_path), pattern, marker) == []

    write(tmp_path, place)
    (found,) = spans.all_versions(str(tmp_path), pattern, marker)
    assert found.path == str(tmp_path / file)


def test_each_part_of_a_span_needs_its_marker(tmp_path):
    pattern = "region=*/day-{SPAN}/a.csv"
    write(tmp_path, "region=x/day-1/a.csv", "region=x/day-1/_SUCCESS", "region=y/day-1/a.csv")
    assert spans.all_versions(str(tmp_path), pattern, "_SUCCESS") == []

    write(tmp_path, "region=y/day-1/_SUCCESS")
    assert len(spans.all_versions(str(tmp_path), pattern, "_SUCCESS")) == 2


@pytest.mark.parametrize(
    ("pattern", "marker", "why"),
    [
        ("span-{SPAN}/*", "_SUCCESS", "would be read as data"),
        ("day-{SPAN}.csv", "_SUCCESS", r"\{SPAN\} must be in pattern and marker alike"),
        ("span-{SPAN}/v{VERSION}.csv", "_SUCCESS", r"\{VERSION\} must be in pattern and marker alike"),
        ("span-{SPAN}/a.csv", "{VERSION}.done", r"\{VERSION\} must be in pattern and marker alike"),
    ],
)
def test_a_marker_that_is_data_or_stands_for_several_spans_is_refused(pattern, marker, why):
    with pytest.raises(ConfigError, match=why):
        spans.check_marker(pattern, marker)


@pytest.mark.parametrize("span", [None, 4])
def test_a_span_that_is_not_complete_is_not_chosen(tmp_path, span):
    write(tmp_path, "span-4/data.csv")

    with pytest.raises(SpanNotFoundError, match=r"Span 4 is not complete: its marker .*/span-4/_SUCCESS is not there"):
        spans.choose_span(str(tmp_path), "span-{SPAN}/data.csv", "_SUCCESS", span)


class Clock:
    """Time that passes only while somebody sleeps; `at_sleep` is what happens then, in order."""

    def __init__(self, now, *at_sleep):
        self.now, self.at_sleep, self.slept, self.told = now, list(at_sleep), [], []

    def sleep(self, seconds):
        self.slept.append(round(seconds, 3))
        self.now += seconds
        if self.at_sleep:
            self.at_sleep.pop(0)()

    def wait_for(self, path, settle_seconds=5.0):
        files = [
            spans.SpanFile(span=1, version=0, path=str(path), pattern=path.name, marker=str(path.with_name("_SUCCESS")))
        ]
        spans.wait_until_settled(
            lambda: files,
            settle_seconds,
            clock=lambda: self.now,
            sleep=self.sleep,
            tell=lambda waiting: self.told.append(str(waiting)),
        )


def test_a_file_that_is_still_being_written_is_waited_for(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("x\n1\n")
    changed = path.stat().st_ctime

    def go_on():
        path.write_text("x\n1\n2\n")
        os.utime(path, (changed + 4, changed + 4))

    clock = Clock(changed + 2, go_on)
    clock.wait_for(path)

    # 3 s are left at first; then it has changed 1 s ago, and 4 s are left.
    assert clock.slept == [3, 4]
    assert clock.told == [
        "data.csv changed a moment ago and may be unfinished; 3.0 s more ([spans] settle_seconds)",
        "data.csv changed a moment ago and may be unfinished; 4.0 s more ([spans] settle_seconds)",
    ]


def test_a_copy_that_keeps_the_time_of_its_source_is_waited_for_and_old_files_are_not(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("x\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))

    fresh, old, off = Clock(path.stat().st_ctime), Clock(path.stat().st_ctime + 5), Clock(path.stat().st_ctime)
    fresh.wait_for(path)
    old.wait_for(path)
    off.wait_for(path, settle_seconds=0.0)

    assert (fresh.slept, old.slept, off.slept) == ([5], [], [])


def test_a_file_of_a_time_to_come_settles_by_staying_as_it_is(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("x\n")
    clock = Clock(path.stat().st_ctime - 3600)

    clock.wait_for(path)

    assert clock.slept == [5]


def test_a_file_that_was_there_before_its_marker_is_settled_and_one_that_came_after_is_not(tmp_path):
    path, marker = tmp_path / "data.csv", tmp_path / "_SUCCESS"
    path.write_text("x\n")
    marker.touch()
    now = marker.stat().st_ctime
    os.utime(marker, (now + 60, now + 60))
    marked = Clock(now)
    marked.wait_for(path)

    os.utime(path, (now + 61, now + 61))
    changed = Clock(now + 62)
    changed.wait_for(path)

    assert (marked.slept, changed.slept) == ([], [4])
