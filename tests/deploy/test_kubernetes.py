"""The Kubernetes manifests: each against the schema, and all against one another."""

import shutil
import subprocess

import pytest
import yaml

from deploy import labels
from tests.deploy.conftest import DEPLOY
from tests.deploy.test_compose import FLAGS, flags

MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


@pytest.fixture(scope="module")
def objects():
    return {value["kind"]: value for value in (yaml.safe_load(path.read_text()) for path in MANIFESTS)}


@pytest.fixture(scope="module")
def kustomization():
    return yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())


def test_every_manifest_fits_its_schema_strictly(checker):
    status, said = checker("kubernetes-validate==1.37.0", "kubernetes-validate", "--strict", *MANIFESTS)

    assert status == 0, said


def test_the_kustomization_lists_every_manifest_and_existing_files(kustomization):
    assert sorted(DEPLOY / name for name in kustomization["resources"]) == MANIFESTS
    (config,) = kustomization["configMapGenerator"]
    written_by_labels = "rendered/models.config"
    assert all((DEPLOY / name).is_file() for name in config["files"] if name != written_by_labels)


def test_the_server_s_files_are_in_the_config_map_and_its_flags_are_known(objects, kustomization):
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    given = flags(container["args"])
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    (config,) = kustomization["configMapGenerator"]
    files = {f"{mounts['config']}/{name.rsplit('/', 1)[-1]}" for name in config["files"]}
    assert set(given) <= FLAGS
    assert {path for flag, path in given.items() if flag.endswith("_file")} == files
    volumes = {volume["name"]: volume for volume in objects["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    assert set(mounts) == set(volumes)
    assert volumes["config"]["configMap"]["name"] == config["name"]
    claim = objects["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == claim


def test_both_deployments_run_the_same_image_with_the_same_configuration(objects):
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["tensorflow-serving"]
    assert container["image"] == compose["image"]
    assert container["command"] == compose["entrypoint"]


def test_what_selects_the_pods_finds_them(objects):
    pod = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        objects["Deployment"]["spec"]["selector"]["matchLabels"],
        objects["Service"]["spec"]["selector"],
        objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= pod.items()
    target = objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", objects["Deployment"]["metadata"]["name"])


def test_ports_and_probes_are_the_server_s(objects):
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    given = flags(container["args"])
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    assert ports == {"grpc": given["port"], "rest": given["rest_api_port"]}
    assert {port["targetPort"] for port in objects["Service"]["spec"]["ports"]} == set(ports)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/v1/models/taxi", "port": "rest"}
    # A pod that leaves answers until every node has heard of it.
    grace = objects["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > int(container["lifecycle"]["preStop"]["exec"]["command"][1])


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the path")
def test_kustomize_builds_it_and_a_moved_label_is_a_rolling_update(checker, tmp_path):
    shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=shutil.ignore_patterns("rendered"))
    names = []
    for version in (10, 20):
        (tmp_path / "pushed" / str(version)).mkdir(parents=True)
        (tmp_path / "pushed" / str(version) / "saved_model.pb").touch()
        output = tmp_path / "deploy" / "rendered" / "models.config"
        paths = ["--pushed", str(tmp_path / "pushed"), "--output", str(output)]
        assert labels.main(["--stable", "newest", *paths, "--server", "http://127.0.0.1:9"]) == 0
        command = ["kubectl", "kustomize", str(tmp_path / "deploy")]
        built = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        objects = {value["kind"]: value for value in yaml.safe_load_all(built)}
        name = objects["ConfigMap"]["metadata"]["name"]
        volumes = objects["Deployment"]["spec"]["template"]["spec"]["volumes"]
        assert {"name": "config", "configMap": {"name": name}} in volumes
        assert f"value: {version}" in objects["ConfigMap"]["data"]["models.config"]
        names.append(name)
    assert names[0] != names[1]

    (tmp_path / "built.yaml").write_text(built)
    status, said = checker("kubernetes-validate==1.37.0", "kubernetes-validate", "--strict", tmp_path / "built.yaml")
    assert status == 0, said
