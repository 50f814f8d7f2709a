"""The provisioned dashboard; its queries are run in tests/e2e/test_monitoring.py."""

import json
import re

import yaml

import local_runner
from monitoring import exporter, metrics
from monitoring.grafana import dashboard
from tests.helpers.prometheus_tools import RULES

RECORDED = {
    rule["record"]
    for group in yaml.safe_load((RULES / "recording_rules.yml").read_text())["groups"]
    for rule in group["rules"]
}


def panels():
    return [panel for panel in json.loads(dashboard.FILE.read_text())["panels"] if panel["type"] != "row"]


def test_the_file_is_what_the_script_makes():
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.text()


def test_panels_do_not_overlap_and_have_names_of_their_own():
    taken = set()
    for panel in json.loads(dashboard.FILE.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    titles = [panel["title"] for panel in panels()]
    assert len(titles) == len(set(titles))
    assert all(panel["description"] for panel in panels())


def test_queries_ask_for_metrics_that_exist():
    known = {metric.name for metric in metrics.METRICS} | RECORDED | {exporter.FAILURES}

    for panel in panels():
        for target in panel["targets"]:
            names = re.findall(r"\bdriftgate[a-z0-9_:]+", target["expr"])
            assert set(names) <= known, panel["title"]


def test_the_data_source_is_the_provisioned_one():
    folder = dashboard.FILE.parents[1] / "provisioning" / "datasources"
    (source,) = yaml.safe_load((folder / "prometheus.yml").read_text())["datasources"]

    assert {panel["datasource"]["uid"] for panel in panels()} == {source["uid"]}


def test_compose_names_what_the_scrape_configuration_asks():
    deploy = RULES.parents[1] / "deploy"
    services = yaml.safe_load((deploy / "compose.monitoring.yaml").read_text())["services"]
    scraped = yaml.safe_load((RULES / "compose.yml").read_text())["scrape_configs"]
    shipped = yaml.safe_load((RULES / "prometheus.yml").read_text())["scrape_configs"]

    hosts = {target.split(":")[0] for job in scraped for target in job["static_configs"][0]["targets"]}
    assert hosts == {"monitor", "tensorflow-serving"}
    assert {"monitor", "prometheus", "grafana"} <= set(services)
    # The image's entry point is local_runner.py, and it takes what the file gives it.
    options = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", option) for option in services["monitor"]["command"]]
    assert local_runner.RUNNER.parser("monitor").parse_args(options).metrics_port == "0.0.0.0:9400"
    assert [job["job_name"] for job in scraped] == [job["job_name"] for job in shipped]
