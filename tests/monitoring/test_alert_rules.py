"""The shipped rules, checked and run by Prometheus' own tool."""

import re
import subprocess

import yaml

from tests.helpers.prometheus_tools import RULES, require_prometheus

RUNBOOK = RULES.parents[1] / "docs" / "runbook.md"


def alerts():
    groups = yaml.safe_load((RULES / "alert_rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_promtool_accepts_configuration_and_rules():
    require_prometheus()

    done = subprocess.run(
        ["promtool", "check", "config", "prometheus.yml"], cwd=RULES, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_and_stays_quiet():
    require_prometheus()

    done = subprocess.run(
        ["promtool", "test", "rules", "alert_rules_test.yml"],
        cwd=RULES / "tests",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    cases = [
        case
        for test in yaml.safe_load((RULES / "tests" / "alert_rules_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    for alert in alerts():
        own = [case["exp_alerts"] for case in cases if case["alertname"] == alert["alert"]]
        assert [] in own, alert["alert"]
        assert any(own), alert["alert"]


def test_every_alert_has_a_summary_and_a_section_in_the_runbook():
    sections = re.findall(r"^## .*?`(Driftgate\w+)`", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    anchors = re.findall(r'<a id="([\w-]+)"></a>', RUNBOOK.read_text(encoding="utf-8"))

    for alert in alerts():
        assert alert["alert"] in sections
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert alert["annotations"]["summary"]
        assert alert["annotations"]["runbook_url"].removeprefix("docs/runbook.md#") in anchors
    assert len(sections) == len(alerts())
