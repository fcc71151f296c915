"""The compose files, the manifests and the image: parsed, validated, their numbers checked. `make soak` runs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from monitor.cli import probe_role
from monitor.config import load as configuration
from monitor.config import probe_environment
from monitor.config.units import seconds
from tests.support.processes import missing

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "compose"
STACKS = ("sidecar", "integrated", "autoheal")
"""The stacks of the Kafka sidecar. The stack `monitor` is the one of the product."""
DOCKERFILES = [ROOT / "Dockerfile", *sorted(COMPOSE.rglob("Dockerfile"))]
MANIFESTS = sorted((COMPOSE / "kubernetes").glob("*.yaml"))
RESTART_SECONDS = 120.0
"""What a restart may take and still be followed by no other one: stop, start, join, and be seen by the next check."""
TWO_HOURS = 7200


@dataclass(frozen=True)
class Health:
    """A health check of Docker's, and what autoheal adds. Seconds."""

    interval: float
    retries: int
    start_period: float
    poll: float = 5.0


SEED = Health(interval=30.0, retries=3, start_period=30.0)
"""Of the script this project began with: 90 s, against a window of at least 5 minutes."""


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, dict[str, Any]]]:
    """The services of each stack as compose sees them: extended, defaults filled in."""
    return {stack: stack_services(stack) for stack in STACKS}


def stack_services(stack: str) -> dict[str, dict[str, Any]]:
    """What `extends` and `${NAME:-default}` come to, by the rules of Compose as far as these files need them."""
    return {name: extended(service) for name, service in load(f"{stack}.yml")["services"].items()}


def load(name: str) -> dict[str, Any]:
    """One file, with the defaults of its variables."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (COMPOSE / name).read_text())
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def extended(service: dict[str, Any]) -> dict[str, Any]:
    """A service on top of the one it extends; mappings are merged."""
    if "extends" not in service:
        return service
    base = load(service["extends"]["file"])["services"][service["extends"]["service"]]
    own = {key: value for key, value in service.items() if key != "extends"}
    merged = {key: {**base.get(key, {}), **value} for key, value in own.items() if isinstance(value, dict)}
    return {**base, **own, **merged}


def health(service: dict[str, Any]) -> Health:
    """The numbers of a service's health check."""
    told = service["healthcheck"]
    return Health(seconds(told["interval"]), int(told["retries"]), seconds(told["start_period"]))


def test_a_restart_is_over_for_the_window_before_autoheal_acts(services: dict[str, dict[str, Any]]) -> None:
    """(retries - 1) x interval exceeds the window and a restart together, for every service that is healed."""
    healed = [each for each in services["autoheal"].values() if each.get("labels", {}).get("autoheal") == "true"]
    assert len(healed) == 2
    for service in healed:
        checked, window = health(service), window_seconds(service)
        assert (checked.retries - 1) * checked.interval >= window + RESTART_SECONDS, checked
        assert checked.start_period < window, "a failure in the start period is no failure: it must not hide a real one"
        assert service["environment"]["PROMETHEUS_URL"], "whose default is to hold the verdict when it cannot be asked"


def test_one_restart_stays_one_restart(services: dict[str, dict[str, Any]]) -> None:
    """Two hours after one consumer restarted: none more by our numbers, one every 100 s by those of the seed."""
    consumer = services["autoheal"]["consumer-a"]
    window = window_seconds(consumer)
    poll = float(services["autoheal"]["autoheal"]["environment"]["AUTOHEAL_INTERVAL"])
    ours = health(consumer)
    ours = Health(ours.interval, ours.retries, ours.start_period, poll)
    for downtime in (2.0, 10.0, 45.0, RESTART_SECONDS):
        for phase in range(0, int(ours.interval), 5):
            assert further_restarts(ours, window, downtime=downtime, phase=phase) == [0, 0], (downtime, phase)
    for count in further_restarts(SEED, 300.0, downtime=8.0):
        assert 65 <= count <= 80


def test_the_simulation_knows_how_little_would_be_too_little(services: dict[str, dict[str, Any]]) -> None:
    """With fewer retries than the window needs, the same simulation finds the loop: it can fail."""
    ours = health(services["autoheal"]["consumer-a"])
    fewer = Health(ours.interval, int(window_seconds(services["autoheal"]["consumer-a"]) / ours.interval) - 1, 60.0)
    assert min(further_restarts(fewer, 300.0, downtime=10.0)) > 10


def further_restarts(health: Health, window: float, *, downtime: float, phase: int = 0) -> list[int]:
    """How often autoheal restarts each of two consumers in two hours, after the first one restarted at second 0.

    The probe of each fails as long as there was one too few at any time in the window (the bare minimum over it: our
    own probe wants it to have lasted). Docker asks every `interval`, forgives failures within
    `start_period` of a start, and says unhealthy after `retries` in a row; autoheal looks every `poll` seconds.
    """
    consumers = [Consumer(health, up_at=downtime), Consumer(health, up_at=-TWO_HOURS, next_check=float(phase))]
    restarts, short_until = [0, 0], downtime
    for now in range(TWO_HOURS):
        if any(each.up_at > now for each in consumers):
            short_until = now + 1.0
        for each in consumers:
            each.ask(now, failing=now < short_until + window)
        for number, each in enumerate(consumers):
            if now % health.poll == 0 and each.is_unhealthy(now):
                restarts[number] += 1
                each.restart(now, downtime)
    return restarts


class Consumer:
    """A container with a health check, as Docker keeps count of it."""

    def __init__(self, health: Health, up_at: float, next_check: float | None = None) -> None:
        self.health, self.up_at, self.failures = health, up_at, 0
        self.next_check = up_at + health.interval if next_check is None else next_check

    def ask(self, now: float, *, failing: bool) -> None:
        """Its health check, if it is up and the check is due."""
        if now < max(self.up_at, self.next_check):
            return
        self.next_check = now + self.health.interval
        forgiven = now < self.up_at + self.health.start_period
        self.failures = self.failures + (not forgiven) if failing else 0

    def is_unhealthy(self, now: float) -> bool:
        """What Docker says of it."""
        return now >= self.up_at and self.failures >= self.health.retries

    def restart(self, now: float, downtime: float) -> None:
        """What autoheal does: it is away for a while, and Docker begins to count anew."""
        self.failures, self.up_at = 0, now + downtime
        self.next_check = self.up_at + self.health.interval


def window_seconds(service: dict[str, Any]) -> float:
    """The window that the service's probe is told."""
    return float(service["environment"]["WINDOW_MINUTES"]) * 60


@pytest.mark.parametrize("stack", [*STACKS, "monitor"])
def test_compose_itself_accepts_the_file(stack: str) -> None:
    """`docker-compose config`, or `docker compose config`, whichever there is; neither asks an engine."""
    command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    if (
        not shutil.which(command[0])
        or subprocess.run([*command, "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker Compose here; the files are read by the other tests all the same")
    done = subprocess.run(
        [*command, "--file", str(COMPOSE / f"{stack}.yml"), "config", "--quiet"],
        env={**os.environ, "DOCKER_HOST": "unix:///nowhere.sock"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_each_stack_has_its_parts(services: dict[str, dict[str, Any]]) -> None:
    """A broker, its exporter, a Prometheus and two consumers; a probe beside each, or in it."""
    for stack, found in services.items():
        assert {"kafka", "kafka-exporter", "prometheus", "consumer-a", "consumer-b", "producer"} <= found.keys(), stack
    assert {"probe-a", "probe-b"} <= services["sidecar"].keys()
    assert "autoheal" in services["autoheal"]


def test_what_is_ours_is_locked_up(services: dict[str, dict[str, Any]]) -> None:
    """Read-only, without capabilities or new privileges, and not root: the images say who they run as."""
    for found in (*services.values(), stack_services("monitor")):
        ours = [name for name, each in found.items() if "build" in each]
        assert ours
        for name in ours:
            assert found[name]["read_only"], name
            assert found[name]["cap_drop"] == ["ALL"], name
            assert found[name]["security_opt"] == ["no-new-privileges:true"], name
    for dockerfile in DOCKERFILES:
        stages = re.split(r"(?m)^FROM ", dockerfile.read_text())
        assert re.findall(r"(?m)^USER (.*)$", stages[-1])[-1] == "10001:10001", dockerfile


def test_the_probe_is_asked_without_curl() -> None:
    """Images need no curl: each health check of ours is `monitor probe`, and nothing downloads anything at run time."""
    deployed = (ROOT / "deploy").rglob("*.yaml")
    files = [*DOCKERFILES, *COMPOSE.rglob("*.yml"), *MANIFESTS, *deployed]
    for file in files:
        said = [line.partition("#")[0] for line in file.read_text().splitlines()]
        assert not [line for line in said if re.search(r"\b(curl|wget)\b", line)], file


def test_the_probes_are_told_names_that_they_know(services: dict[str, dict[str, Any]]) -> None:
    """What a probe finds in its environment is what a sidecar reads; anything else would be a typing error."""
    told = [
        each["environment"]
        for found in services.values()
        for name, each in found.items()
        if name.startswith(("probe", "consumer"))
    ]
    told += [each["data"] for each in resources() if each["kind"] == "ConfigMap"]
    assert told
    for environment in told:
        assert environment.keys() <= probe_environment.PROBE_VARIABLES.keys()


def test_the_drill_can_reach_the_threshold(services: dict[str, dict[str, Any]]) -> None:
    """The largest of six lags cannot be more than six times their mean: the threshold is below the partitions."""
    partitions = re.search(r'"PARTITIONS", "(\d+)"', (COMPOSE / "consumer" / "settings.py").read_text())
    assert partitions
    for found in services.values():
        for each in found.values():
            assert float(each.get("environment", {}).get("SKEW_THRESHOLD", 4.0)) < int(partitions[1])


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_are_what_kubernetes_knows(manifest: Path) -> None:
    """Every field, strictly, by the newest schema and by one that clusters still run."""
    for each in yaml.safe_load_all(manifest.read_text()):
        for version in (kubernetes_validate.latest_version(), "1.29"):
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_pods_are_locked_up_and_restarted_for_nothing_but_their_own_death(manifest: Path) -> None:
    """Not root, read-only, no capabilities; liveness asks /health and readiness asks /ready, on the probe's port."""
    for deployment in [each for each in resources(manifest) if each["kind"] == "Deployment"]:
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["enableServiceLinks"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
        probed = [each for each in pod["containers"] if "readinessProbe" in each]
        assert len(probed) == 1
        assert probed[0]["ports"] == [{"name": "probe", "containerPort": 9011}]
        assert probed[0]["livenessProbe"]["httpGet"] == {"path": "/health", "port": "probe"}
        assert probed[0]["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "probe"}


def test_the_image_is_built_of_what_it_needs_and_no_more() -> None:
    """The context leaves out everything but the sources; whatever the Dockerfiles copy is in it."""
    ignored = (ROOT / ".dockerignore").read_text().split()
    kept = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    for dockerfile in DOCKERFILES:
        for line in re.findall(r"(?m)^COPY (?!--from)(.*) \S+$", dockerfile.read_text()):
            for source in line.split():
                assert any(source == name or source.startswith(f"{name}/") for name in kept), source
                assert list(ROOT.glob(source)), source


def test_the_base_image_is_named_by_its_digest() -> None:
    """One base for all of our images, which a build takes instead of whatever a tag means that day."""
    bases = {base for file in DOCKERFILES for base in re.findall(r"(?m)^ARG BASE=(.*)$", file.read_text())}
    stacks = (load("services.yml"), load("monitor.yml"))
    built = [service["build"] for stack in stacks for service in stack["services"].values() if "build" in service]
    bases |= {each["args"]["BASE"] for each in built if "BASE" in each.get("args", {})}
    assert len(bases) == 1
    assert re.fullmatch(r"python:[0-9.]+-slim@sha256:[0-9a-f]{64}", bases.pop())
    for file in DOCKERFILES:
        images = re.findall(r"(?m)^FROM (\S+)", file.read_text())
        stages = re.findall(r"(?m)^FROM \S+ AS (\S+)", file.read_text())
        assert set(images) <= {"${BASE}", *stages}, file


def test_the_stack_of_the_product_has_its_parts() -> None:
    """Web, worker and beat of one image, and a project with its worker, broker and database."""
    found = stack_services("monitor")
    assert found.keys() == {"web", "worker", "beat", "shop-worker", "valkey", "postgres"}
    roles = {name: found[name] for name in ("web", "worker", "beat")}
    assert {role["image"] for role in roles.values()} == {"celery-health-monitor"}
    assert [role["command"][0] for role in roles.values()] == [*roles]
    assert all("test" not in role["healthcheck"] for role in roles.values()), "the image has the health check"
    assert found["shop-worker"]["healthcheck"]["test"] == ["CMD", "monitor", "probe", "worker"]
    environment = {name: str(value or "") for name, value in found["web"]["environment"].items()}
    loaded = configuration(environ=environment).config
    for name in ("MONITOR_PROJECT", "MONITOR_REDIS_URL"):
        assert found["shop-worker"]["environment"][name] == environment[name]
    assert loaded.project == "shop"
    assert environment["MONITOR_BROKER_URL"] == found["shop-worker"]["environment"]["SHOP_BROKER_URL"]


def test_the_image_runs_no_role_by_itself() -> None:
    """Its command is the help, so whatever runs a role names it. Its health check finds out which role that is."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"(?m)^(ENTRYPOINT|CMD) (.*)$", dockerfile) == [
        ("ENTRYPOINT", '["monitor"]'),
        ("CMD", '["--help"]'),
    ]
    assert re.findall(r"(?m)^ +CMD (.*)$", dockerfile) == ['monitor probe "${PROBE_URL:-role}"']
    named = [
        service
        for file in COMPOSE.glob("*.yml")
        for service in load(file.name)["services"].values()
        if service.get("image") == "celery-health-monitor"
    ]
    named += [
        container
        for each in resources(*MANIFESTS, *(ROOT / "deploy").rglob("*.yaml"))
        if each["kind"] == "Deployment"
        for container in each["spec"]["template"]["spec"]["containers"]
        if container["image"] == "celery-health-monitor"
    ]
    assert len(named) == 8
    assert all((each.get("command") or each.get("args"))[0] in probe_role.ROLES for each in named)


def test_the_image_tells_what_it_is() -> None:
    """It has the labels of the Open Container Initiative, and the version of the package."""
    labels = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]*)"', (ROOT / "Dockerfile").read_text()))
    assert {"title", "description", "licenses", "version", "url", "source", "base.name"} <= labels.keys()
    version = re.search(r"(?m)^ARG VERSION=(.*)$", (ROOT / "Dockerfile").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert version is not None
    assert version[1] == project["version"]
    assert labels["title"] == project["name"]


def test_prometheus_understands_the_questions_of_the_runbook(tmp_path: Path) -> None:
    """Every query that an operator is told to ask is one, by promtool."""
    if not shutil.which("promtool"):
        missing("promtool")
    blocks = re.findall(r"```promql\n(.*?)```", (ROOT / "docs" / "runbook-hot-key.md").read_text(), re.DOTALL)
    queries = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    assert queries
    rules = [{"record": f"asked:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "asked.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def resources(*manifests: Path) -> list[dict[str, Any]]:
    """All resources of these manifests, or of all."""
    return [each for path in manifests or MANIFESTS for each in yaml.safe_load_all(path.read_text())]
