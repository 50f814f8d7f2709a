"""Whole looks at request logs: counts, windows, skew, labels, what the gate is told, and faults in between."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest

from monitoring.monitor import Monitor
from pipeline.errors import RootBusyError
from pipeline.gate import serving_evidence
from tests.helpers import request_logs, windows
from tests.helpers.requests import DAY, MONDAY, NOW, requests
from tests.monitoring.conftest import VERSION, answers


def look(site, *, now=NOW, labels=None, **options):
    return Monitor(site.dataset, site.root, site.log, labels, **options).look(now)


def moved(report):
    return [item.feature for item in report.skew.moved]


def test_a_day_like_the_training_rows_alerts_nothing(site):
    request_logs.write(site.log / "m" / "requests-1.tfrecord", requests(site, windows.rows(1_000, 9)))

    found = look(site)

    (report,) = found.reports
    assert (report.period, report.version, report.rows) == ("2026-11-23", VERSION, 1_000)
    assert report.alerts == ()
    assert report.prediction.drift.distance < report.prediction.drift.threshold
    assert serving_evidence.read(str(site.root.state)).alerts == ()
    assert [gap.text for gap in report.not_compared] == []


def test_a_day_in_another_unit_is_skew_that_the_gate_is_told(site):
    request_logs.write(site.log / "1.tfrecord", requests(site, windows.rows(1_000, 9)))
    request_logs.write(site.log / "2.tfrecord", requests(site, windows.rows(1_000, 9, fare=100), time=MONDAY + DAY))

    found = look(site)

    assert [moved(report) for report in found.reports] == [[], ["fare"]]
    evidence = serving_evidence.read(str(site.root.state))
    assert (evidence.version, evidence.start, evidence.rows) == (str(VERSION), MONDAY + DAY, 1_000)
    (alert,) = evidence.alerts
    assert (alert.kind, alert.feature) == ("skew", "fare")
    assert alert.text.startswith("requests of 2026-11-24: `fare`: ")
    # TFDV's record of the window lies beside the report.
    assert (site.root.monitoring / "reports" / found.reports[1].folder / "FeatureStats.pb").stat().st_size > 0


def test_the_next_quiet_window_takes_an_alert_back(site):
    request_logs.write(site.log / "1.tfrecord", requests(site, windows.rows(500, 9, fare=100)))
    assert look(site).evidence.alerts != ()
    request_logs.write(site.log / "2.tfrecord", requests(site, windows.rows(500, 9), time=MONDAY + DAY))

    assert look(site).evidence.alerts == ()


def test_answers_that_moved_are_an_alert_without_any_label(site):
    rows = windows.rows(1_000, 9)
    request_logs.write(site.log / "1.tfrecord", requests(site, rows, predictions=answers(1_000, 7, shift=0.2)))

    (report,) = look(site).reports

    assert [alert.kind for alert in report.alerts] == ["prediction"]
    assert report.prediction.mean.value == pytest.approx(0.25 + 0.2, abs=0.02)
    # beta(2, 6) has mean 1/4.
    assert report.prediction.mean_at_push.value == pytest.approx(0.25, abs=0.02)


def test_nothing_is_counted_twice(site):
    path = request_logs.write(site.log / "1.tfrecord", requests(site, windows.rows(400, 9), rate=0.5))

    first, again = look(site), look(site)
    path.write_bytes(path.read_bytes() + b"".join(map(request_logs.frame, requests(site, windows.rows(100, 8)))))
    grown = look(site)
    path.rename(path.with_name("1.tfrecord.old"))
    shutil.copy(path.with_name("1.tfrecord.old"), path)
    touched = look(site)

    assert [found.new_records for found in (first, again, grown, touched)] == [20, 0, 5, 0]
    counts = touched.progress.versions[VERSION]
    # A record of a log that keeps half of the requests stands for two; the appended ones for one each.
    assert (counts.records, counts.requests, counts.rows, counts.errors) == (25, 45, 500, 0)
    assert touched.reports[0].rows == 500


def test_a_look_that_dies_before_its_batch_is_whole_leaves_nothing(site, monkeypatch):
    request_logs.write(site.log / "1.tfrecord", requests(site, windows.rows(400, 9)))
    monitor = Monitor(site.dataset, site.root, site.log, None)
    with monkeypatch.context() as patch:
        patch.setattr("monitoring.store.Store.commit", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
        with pytest.raises(OSError, match="no space left"):
            monitor.look(NOW)

    found = look(site)

    assert (found.new_records, found.reports[0].rows) == (20, 400)


def test_a_window_that_was_kept_and_not_judged_is_judged_by_the_next_look(site, monkeypatch):
    request_logs.write(site.log / "1.tfrecord", requests(site, windows.rows(400, 9)))
    with monkeypatch.context() as patch:
        patch.setattr("monitoring.monitor.judge", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            look(site)

    found = look(site)

    assert (found.new_records, len(found.judged)) == (0, 1)


def test_a_log_that_is_removed_takes_nothing_back(site):
    request_logs.write(site.log / "1.tfrecord", requests(site, windows.rows(400, 9)))
    before = look(site)
    shutil.rmtree(site.log)

    after = look(site)

    assert (after.progress.versions, after.reports) == (before.progress.versions, before.reports)


def test_hidden_files_are_left_alone_and_damaged_ones_are_counted(site):
    records = requests(site, windows.rows(400, 9))
    request_logs.write(site.log / ".1.tfrecord", records)
    cut = request_logs.write(site.log / "2.tfrecord.gz", records)
    cut.write_bytes(cut.read_bytes()[:-2_000])
    # It may still be written: only after an hour is the rest given up.
    young = Monitor(site.dataset, site.root, site.log, None).look(cut.stat().st_mtime)
    old = Monitor(site.dataset, site.root, site.log, None).look(cut.stat().st_mtime + 2 * 3600)

    assert 0 < young.new_records < 20
    assert young.progress.dropped == {}
    assert old.new_records == 0
    assert old.progress.dropped == {"damaged_file": 1}


def test_what_is_no_request_of_this_model_is_dropped_by_reason(site):
    rows = windows.rows(400, 9)
    whole = requests(site, rows)
    ragged = request_logs.arrays_of(rows.slice(0, 3), site.features) | {"fare": np.zeros(2, np.float32)}
    wrong = request_logs.arrays_of(rows.slice(0, 1), site.features) | {"fare": np.array(["12.5"], object)}
    odd = [
        b"\xff\xff\xff",
        *requests(site, rows.slice(0, 20), model="other"),
        request_logs.predict_log(ragged, [0.1], version=VERSION, time=MONDAY),
        request_logs.predict_log(wrong, [0.1], version=VERSION, time=MONDAY),
    ]
    request_logs.write(site.log / "1.tfrecord", [*whole, *odd])

    found = look(site)

    assert found.progress.dropped == {"not_a_record": 1, "other_model": 1, "unreadable_request": 2}
    assert found.reports[0].rows == 400


def test_requests_without_an_answer_are_errors_and_their_features_count(site):
    rows = windows.rows(400, 9)
    arrays = request_logs.arrays_of(rows, site.features)
    request_logs.write(site.log / "1.tfrecord", [request_logs.predict_log(arrays, None, version=VERSION, time=MONDAY)])

    found = look(site)

    assert found.progress.versions[VERSION].errors == 1
    (report,) = found.reports
    assert (report.rows, report.prediction) == (400, None)
    assert "the log holds no answers" in report.not_compared[-1].text


def test_versions_are_judged_apart_and_unknown_ones_are_said(site):
    request_logs.write(
        site.log / "1.tfrecord",
        [*requests(site, windows.rows(400, 9)), *requests(site, windows.rows(300, 8), version=99)],
    )

    gone, live = look(site).reports

    assert (gone.version, gone.skew, live.version, live.rows) == (99, None, VERSION, 400)
    assert "what version 99 was trained on: there is no folder" in gone.not_compared[0].text


def test_small_windows_wait_and_count_with_the_next(site):
    request_logs.write(site.log / "1.tfrecord", requests(site, windows.rows(200, 9)))
    first = look(site)
    request_logs.write(site.log / "2.tfrecord", requests(site, windows.rows(200, 8), time=MONDAY + DAY))

    second = look(site)

    assert (first.reports, first.waiting) == ((), {(MONDAY, VERSION): 200})
    assert [(report.start, report.end, report.rows) for report in second.reports] == [(MONDAY, MONDAY + 2 * DAY, 400)]


def test_a_window_is_judged_when_it_is_over(site):
    request_logs.write(site.log / "1.tfrecord", requests(site, windows.rows(400, 9)))

    during = look(site, now=MONDAY + DAY - 1)
    wanted = look(site, now=MONDAY + DAY - 1, judge_open=True)

    assert (during.reports, during.waiting) == ((), {(MONDAY, VERSION): 400})
    assert len(wanted.judged) == 1


def write_span(folder, span, rows):
    path = folder / f"span-{span}" / "data.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows.column_names)
        writer.writerows(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def with_labels(rows, labels):
    """Tips that make the label come out as wanted."""
    fares = rows.column("fare").to_numpy()
    return rows.set_column(rows.column_names.index("tips"), "tips", [np.where(labels, fares, 0.0)])


def test_labels_that_come_later_give_the_live_models_auc(site, tmp_path):
    rows, predictions = windows.rows(1_000, 9), answers(1_000, 7)
    labels = np.random.default_rng(2).random(1_000) < predictions
    request_logs.write(site.log / "1.tfrecord", requests(site, rows, predictions=predictions))
    before = look(site)
    # Spans 1 to 4 are what the version was trained on: their labels say nothing of it.
    write_span(tmp_path / "labels", 4, with_labels(rows, ~labels))
    write_span(tmp_path / "labels", 5, with_labels(rows, labels))

    after = look(site, labels=str(tmp_path / "labels"))
    again = look(site, labels=str(tmp_path / "labels"))

    assert before.reports[0].performance is None
    measured = after.reports[0].performance
    assert measured.labelled == 1_000
    from sklearn.metrics import roc_auc_score

    assert measured.evaluation.overall.auc.value == pytest.approx(roc_auc_score(labels, predictions))
    assert [alert.kind for alert in after.reports[0].alerts] == []
    assert (len(after.judged), len(again.judged)) == (1, 0)


def test_a_live_model_that_got_worse_is_evidence_for_a_rerun(site, tmp_path):
    rows, predictions = windows.rows(1_000, 9), answers(1_000, 7)
    request_logs.write(site.log / "1.tfrecord", requests(site, rows, predictions=predictions))
    write_span(tmp_path / "labels", 5, with_labels(rows, np.random.default_rng(2).random(1_000) < 0.7))

    found = look(site, labels=str(tmp_path / "labels"))

    assert {alert.kind for alert in found.evidence.alerts} == {"performance"}
    assert any("the live model's AUC: " in alert.text for alert in found.evidence.alerts)


def test_a_declared_key_needs_no_other_column(site, tmp_path):
    rows, predictions = windows.rows(400, 9), answers(400, 7)
    monitoring = dataclasses.replace(site.dataset.monitoring, key=("fare", "miles"))
    keyed = dataclasses.replace(site, dataset=dataclasses.replace(site.dataset, monitoring=monitoring))
    request_logs.write(site.log / "1.tfrecord", requests(keyed, rows, predictions=predictions))
    write_span(tmp_path / "labels", 5, rows.select(["fare", "miles", "tips"]))

    (report,) = look(keyed, labels=str(tmp_path / "labels")).reports

    assert report.performance.labelled > 390


def test_labels_that_cannot_be_read_are_said_and_stop_nothing(site, tmp_path):
    request_logs.write(site.log / "1.tfrecord", requests(site, windows.rows(400, 9)))
    write_span(tmp_path / "labels", 5, windows.rows(400, 9).drop_columns(["payment"]))

    found = look(site, labels=str(tmp_path / "labels"))

    assert len(found.judged) == 1
    (fault,) = found.label_faults
    assert "span-5/data.csv" in fault
    assert "'payment'" in fault


def test_requests_are_kept_as_long_as_asked(site):
    request_logs.write(site.log / "1.tfrecord", requests(site, windows.rows(400, 9)))
    look(site)
    request_logs.write(site.log / "2.tfrecord", requests(site, windows.rows(400, 9), time=MONDAY + 120 * DAY))

    later = look(site, now=MONDAY + 121 * DAY)

    assert len(list(site.root.monitoring.glob("batch-*"))) == 1
    assert later.progress.versions[VERSION].rows == 800
    assert len(later.reports) == 2


def test_two_monitors_on_one_root_exclude_each_other(site):
    first = Monitor(site.dataset, site.root, site.log, None)
    second = Monitor(site.dataset, site.root, site.log, None)

    with first.locked(), pytest.raises(RootBusyError, match="Another monitor is at work"), second.locked():
        pass


def test_progress_is_a_file_that_a_person_can_read(site):
    request_logs.write(site.log / "m" / "1.tfrecord", requests(site, windows.rows(400, 9)))
    look(site)

    (batch,) = site.root.monitoring.glob("batch-*")

    value = json.loads((batch / "progress.json").read_text())
    assert value["versions"] == {str(VERSION): {"records": 20, "requests": 20, "errors": 0, "rows": 400}}
    assert value["windows"] == {f"{MONDAY}/{VERSION}": 400}
    assert list(value["files"]) == ["m/1.tfrecord"]
