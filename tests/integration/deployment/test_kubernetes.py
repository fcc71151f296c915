"""The manifests of deploy/kubernetes: valid, complete, locked up, and with the numbers that the documents promise."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from monitor.api import targets
from monitor.cli import probe_role
from monitor.cli.commands import Commands, cli
from monitor.config import load

ROOT = Path(__file__).parents[3]
DIRECTORY = ROOT / "deploy" / "kubernetes"
MANIFESTS = sorted({*DIRECTORY.rglob("*.yaml")} - {DIRECTORY / "kustomization.yaml"})
COMPONENT = "app.kubernetes.io/component"

LIVENESS = {"initialDelaySeconds": 30, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3}
READINESS = {
    "initialDelaySeconds": 10,
    "periodSeconds": 5,
    "timeoutSeconds": 3,
    "successThreshold": 1,
    "failureThreshold": 3,
}


def resources(*kinds: str) -> list[dict[str, Any]]:
    """Return the resources of these kinds in all manifests."""
    found = [each for path in MANIFESTS for each in yaml.safe_load_all(path.read_text())]
    return [each for each in found if each["kind"] in kinds]


def deployment(name: str) -> dict[str, Any]:
    """Return the Deployment with this name."""
    return next(each for each in resources("Deployment") if each["metadata"]["name"] == name)


def container(name: str) -> dict[str, Any]:
    """Return the only container of a Deployment."""
    (only,) = deployment(name)["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def without_action(probe: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of a probe."""
    return {key: value for key, value in probe.items() if key not in ("exec", "httpGet")}


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_kubernetes_accepts_the_manifest(manifest: Path) -> None:
    """Every field is valid, strictly, by the newest schema and by one that clusters still run."""
    for each in yaml.safe_load_all(manifest.read_text()):
        for version in (kubernetes_validate.latest_version(), "1.29"):
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("name", ["health-monitor-web", "shop-web"])
def test_the_probes_of_a_web_server(name: str) -> None:
    """Startup, liveness and readiness request their own endpoints, with the numbers of docs/deployment.md."""
    web = container(name)
    paths = {kind: web[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert paths == {
        "startup": "/api/health/startup/",
        "liveness": "/api/health/live/",
        "readiness": "/api/health/ready/",
    }
    assert {path.split("/")[3] for path in paths.values()} <= targets.ENDPOINTS.keys()
    assert without_action(web["livenessProbe"]) == LIVENESS
    assert without_action(web["readinessProbe"]) == READINESS
    assert web["ports"] == [{"name": "http", "containerPort": 8000}]


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_the_probes_of_a_role_without_a_server(role: str) -> None:
    """The exec probe names the role that the container runs. The start may take five minutes."""
    found = container(f"health-monitor-{role}")
    assert found["args"] == [role]
    for kind in ("startup", "liveness"):
        assert found[f"{kind}Probe"]["exec"]["command"] == ["monitor", "probe", "role", role]
    assert role in probe_role.ROLES
    assert without_action(found["livenessProbe"]) == LIVENESS
    startup = found["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300
    assert "readinessProbe" not in found


def test_the_probe_of_a_projects_worker() -> None:
    """It reads the file of the agent."""
    probe = container("shop-worker")["livenessProbe"]
    assert probe["exec"]["command"] == ["monitor", "probe", "worker"]
    assert without_action(probe) == LIVENESS


def test_the_roles_are_commands() -> None:
    """Each role of the monitor that a manifest starts is a command with these options."""
    assert isinstance(cli, Commands)
    for role in ("web", "worker", "beat"):
        command, *arguments = container(f"health-monitor-{role}")["args"]
        found = cli.get_command(click.Context(cli), command)
        assert found is not None, command
        options = {name for parameter in found.params for name in parameter.opts}
        assert {each for each in arguments if each.startswith("--")} <= options


def test_one_beat_at_a_time() -> None:
    """The old beat ends before the new one starts."""
    spec = deployment("health-monitor-beat")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_every_pod_is_locked_up() -> None:
    """A pod is not root, has a read-only root file system, no capabilities, no new privileges and bounded memory."""
    for each in resources("Deployment"):
        pod = each["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for one in pod["containers"]:
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert one["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in one["resources"]["limits"]
            assert {"name": "tmp", "mountPath": "/tmp"} in one["volumeMounts"]


def test_selectors_find_their_pods() -> None:
    """Service, budgets and policies select pods that a Deployment makes; what has one replica has no budget."""
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in resources("Deployment")]
    selectors = [each["spec"]["selector"] for each in resources("Service")]
    selectors += [each["spec"]["selector"]["matchLabels"] for each in resources("PodDisruptionBudget", "Deployment")]
    selectors += [each["spec"]["podSelector"]["matchLabels"] for each in resources("NetworkPolicy")]
    for selector in selectors:
        assert any(selector.items() <= labels.items() for labels in pods), selector
    budgets = {each["spec"]["selector"]["matchLabels"][COMPONENT] for each in resources("PodDisruptionBudget")}
    assert budgets == {"web", "worker"}
    for component in budgets:
        assert deployment(f"health-monitor-{component}")["spec"]["replicas"] > 1


def test_the_network_is_closed_but_for_what_is_named() -> None:
    """All roles reach names, store and broker. The worker reaches the database, and web is reached on one port."""
    policies = {each["metadata"]["name"]: each["spec"] for each in resources("NetworkPolicy")}
    everyone = policies["health-monitor"]
    assert everyone["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in everyone
    assert [{port["port"] for port in rule["ports"]} for rule in everyone["egress"]] == [{53}, {6379}]
    assert [port["port"] for rule in policies["health-monitor-worker"]["egress"] for port in rule["ports"]] == [5432]
    (ingress,) = policies["health-monitor-web"]["ingress"]
    assert [port["port"] for port in ingress["ports"]] == ["http"]
    assert [sorted(source) for source in ingress["from"]] == [["namespaceSelector", "podSelector"], ["ipBlock"]]
    assert all(rule["to"] for spec in policies.values() for rule in spec.get("egress", []))


def test_what_pods_refer_to_exists() -> None:
    """ConfigMap and Secret have the names, and the Secret the keys, that the pods use."""
    names = {each["kind"]: each["metadata"]["name"] for each in resources("ConfigMap", "Secret")}
    (secret,) = resources("Secret")
    for each in resources("Deployment"):
        pod = each["spec"]["template"]["spec"]
        assert all(
            volume["configMap"]["name"] == names["ConfigMap"] for volume in pod["volumes"] if "configMap" in volume
        )
        for one in pod["containers"]:
            assert all(source["secretRef"]["name"] == names["Secret"] for source in one.get("envFrom", []))
            keys = [env["valueFrom"]["secretKeyRef"] for env in one["env"] if "valueFrom" in env]
            assert all(key["name"] == names["Secret"] and key["key"] in secret["stringData"] for key in keys)


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    """The roles accept file and variables, and the project's workers get the name of the same project."""
    (configmap,), (secret,) = resources("ConfigMap"), resources("Secret")
    file = tmp_path / "monitor.toml"
    file.write_text(configmap["data"]["monitor.toml"])
    environment = {env["name"]: env["value"] for env in container("health-monitor-web")["env"]}
    loaded = load(environ={**environment, **secret["stringData"], "MONITOR_CONFIG": str(file)}).config
    assert str(loaded.data_dir) == "/tmp/monitor"
    assert loaded.project == tomllib.loads(configmap["data"]["monitor.toml"])["project"]
    assert "disk" not in loaded.checks
    for name in ("shop-worker", "shop-web"):
        assert {"name": "MONITOR_PROJECT", "value": loaded.project} in container(name)["env"]


def test_the_service_is_not_taken_for_a_setting() -> None:
    """Kubernetes makes variables of the name in every pod of the namespace. They do not begin with MONITOR_."""
    (service,) = resources("Service")
    assert not service["metadata"]["name"].upper().replace("-", "_").startswith("MONITOR")


def test_the_kustomization_has_every_file() -> None:
    """Each manifest except for the examples is a resource, and the image that it renames is the one of the pods."""
    kustomization = yaml.safe_load((DIRECTORY / "kustomization.yaml").read_text())
    assert sorted(kustomization["resources"]) == [path.name for path in MANIFESTS if path.parent == DIRECTORY]
    assert {image["name"] for image in kustomization["images"]} == {container("health-monitor-web")["image"]}


def test_kubectl_builds_the_kustomization() -> None:
    """`kubectl kustomize` makes the same resources, with the image of a registry, and Kubernetes accepts them."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed; the other tests read the same files")
    done = subprocess.run(["kubectl", "kustomize", str(DIRECTORY)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    for each in built:
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
    files = [path for path in MANIFESTS if path.parent == DIRECTORY]
    assert len(built) == sum(len(list(yaml.safe_load_all(path.read_text()))) for path in files)
    images = {
        one["image"]
        for each in built
        if each["kind"] == "Deployment"
        for one in each["spec"]["template"]["spec"]["containers"]
    }
    assert len(images) == 1
    assert images.pop().startswith("registry.example.org/celery-health-monitor:")
