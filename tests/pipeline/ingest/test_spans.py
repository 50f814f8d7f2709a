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

    found = spans.newest_versions(str(tmp_path), "span-{SPAN}/data.csv")

    assert list(found) == [2, 10]


def test_a_width_wants_exactly_so_many_digits(tmp_path):
    write(tmp_path, "span-02/data.csv", "span-123/data.csv")

    found = spans.newest_versions(str(tmp_path), "span-{SPAN:2}/data.csv")

    assert list(found) == [2]


def test_the_highest_version_replaces_the_others(tmp_path):
    write(tmp_path, "span-1/v1/data.csv", "span-1/v10/data.csv", "span-1/v9/data.csv")

    (file,) = spans.newest_versions(str(tmp_path), "span-{SPAN}/v{VERSION}/data.csv")[1]

    assert (file.version, file.path) == (10, str(tmp_path / "span-1/v10/data.csv"))


def test_a_span_may_have_several_files(tmp_path):
    write(tmp_path, "span-1/a.csv", "span-1/b.csv")

    files = spans.newest_versions(str(tmp_path), "span-{SPAN}/*.csv")[1]

    assert [file.path[-5:] for file in files] == ["a.csv", "b.csv"]


def test_a_date_counts_the_days_since_1970(tmp_path):
    write(tmp_path, "1970-01-02/data.csv", "2024-02-31/data.csv", "2024-02-29/data.csv")

    found = spans.newest_versions(str(tmp_path), "{YYYY}-{MM}-{DD}/data.csv")

    # 2024-02-29: 54 years of 365 days, 13 leap days before 2024, and 59 days into the year.
    assert list(found) == [1, 54 * 365 + 13 + 59]


def test_the_newest_span_is_chosen_where_none_is_named(tmp_path):
    write(tmp_path, "span-9/data.csv", "span-10/data.csv")

    assert spans.choose_span(str(tmp_path), "span-{SPAN}/data.csv")[0].span == 10


def test_a_missing_span_names_what_exists(tmp_path):
    write(tmp_path, "span-1/data.csv")

    with pytest.raises(SpanNotFoundError, match=r"Span 7 does not match 'span-\{SPAN\}/data.csv' .* Found: 1\."):
        spans.choose_span(str(tmp_path), "span-{SPAN}/data.csv", 7)


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
        spans.newest_versions(str(tmp_path), "span-{SPAN}/data.csv")

    assert str(tmp_path / "span-2/data.csv") in str(caught.value)
    assert str(tmp_path / "span-02/data.csv") in str(caught.value)


@pytest.mark.parametrize("name", ["a[b]", "a*", "a?", "{SPAN}b"])
def test_a_data_folder_is_never_a_wildcard(tmp_path, name):
    write(tmp_path, f"{name}/span-1/data.csv", "ab/span-2/data.csv", "{SPAN}/span-3/data.csv")

    (file,) = spans.all_versions(str(tmp_path / name), "span-{SPAN}/*.csv")

    assert (file.span, file.path) == (1, str(tmp_path / name / "span-1" / "data.csv"))


def test_a_bucket_with_wildcards_in_its_path_is_refused():
    with pytest.raises(ConfigError, match=r"they are wildcards there. Received: gs://b/a\*. Name another"):
        spans.choose_span("gs://b/a*", "span-{SPAN}/data.csv")


class Clock:
    """Time that passes only while somebody sleeps; `at_sleep` is what happens then, in order."""

    def __init__(self, now, *at_sleep):
        self.now, self.at_sleep, self.slept = now, list(at_sleep), []

    def sleep(self, seconds):
        self.slept.append(round(seconds, 3))
        self.now += seconds
        if self.at_sleep:
            self.at_sleep.pop(0)()

    def wait_for(self, path, settle_seconds=5.0):
        files = [spans.SpanFile(span=1, version=0, path=str(path), pattern=path.name)]
        spans.wait_until_settled(lambda: files, settle_seconds, clock=lambda: self.now, sleep=self.sleep)


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
