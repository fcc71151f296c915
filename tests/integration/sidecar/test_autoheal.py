"""The stack with autoheal, whose Prometheus dies: nothing is restarted for that, however long it lasts.

Prometheus, its rules, and the probe's check are real; the hour, Docker and autoheal are simulated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitor import policy
from monitor.api.refresher import CachedSnapshot
from monitor.api.roster import RosterReader
from monitor.checks.registry import KINDS
from monitor.config import Config, load, probe_environment
from monitor.model.checks import Flight, Past, State
from monitor.sidecar import contract
from monitor.sidecar.verdict import current_verdict
from tests.integration.checks.kafka.test_prometheus_source import RULES, lines
from tests.integration.deployment.test_compose import Consumer, health, stack_services
from tests.support.builders import NOW
from tests.support.prometheus_server import Exporter, PrometheusServer, StartPrometheus

GROUP = "orders-consumers"
HOUR = 3600


class Probe:
    """The probe of one consumer of the stack, whose check runs by a clock of its own."""

    def __init__(self, config: Config) -> None:
        self.check = config.checks["kafka"]
        self.roster = RosterReader(config)
        self.kind = KINDS.build(self.check.kind, self.check.options)
        self.state: State | None = None
        self.memory: str | None = None

    def run(self, now: float) -> None:
        """Run the check, as its worker would."""
        outcome = self.kind.run(self.check.timeout_seconds, Past(now, self.memory))
        self.memory = outcome.memory or self.memory
        result = policy.as_result(self.check, Flight("kafka", f"run-{now}", 1, now), outcome, 1.0)
        self.state, _ = policy.advance(self.state, result, self.check)

    def status(self, now: float) -> dict[str, Any]:
        """The body of /status."""
        states = {} if self.state is None else {"kafka": self.state}
        verdict = current_verdict(self.roster, CachedSnapshot(states, now, True, True))
        return contract.status_body(verdict, self.roster)


class Stack:
    """A consumer of the stack with its probe, Docker's health check of it, and autoheal."""

    def __init__(self, server: PrometheusServer, **environ: str) -> None:
        service = stack_services("autoheal")["consumer-a"]
        told = {name: str(value) for name, value in service["environment"].items()}
        told |= {"PROMETHEUS_URL": server.url, "PROM_RETRIES": "0", probe_environment.SIDECAR_VARIABLE: "1", **environ}
        self.probe = Probe(load(environ=told).config)
        self.docker = Consumer(health(service), up_at=NOW - HOUR, next_check=NOW)
        self.now, self.restarts = NOW, 0
        self.last: dict[str, Any] = {}

    def during(self, seconds: int) -> None:
        """Let the clock run: the check every ten seconds, Docker and autoheal when they do."""
        for _ in range(seconds):
            self.now += 1
            if self.now % 10 == 0:
                self.probe.run(self.now)
            self.last = self.probe.status(self.now)
            self.docker.ask(int(self.now), failing=not self.last["healthy"])
            if self.now % 5 == 0 and self.docker.is_unhealthy(int(self.now)):
                self.restarts += 1
                self.docker.restart(int(self.now), 10.0)


@pytest.fixture
def server(exporter: Exporter, start_prometheus: StartPrometheus, tmp_path: Path) -> PrometheusServer:
    """A Prometheus that records the group, which is well."""
    rules = tmp_path / "kafka.rules.yml"
    rules.write_text(RULES.read_text().replace("interval: 15s", "interval: 250ms"))
    exporter.text = lines(GROUP, [0] * 6)
    server = start_prometheus(targets=[exporter.address], rules=[rules])
    server.wait_for_value("kafka:group_skew_ratio", 1)
    return server


def test_an_hour_without_prometheus(server: PrometheusServer) -> None:
    """The numbers are kept for the window and then are none; nothing is restarted, and `/status` says what is known."""
    stack = Stack(server)
    stack.during(60)
    assert (stack.last["message"], stack.last["overall_healthy"]) == ("System healthy", True)
    server.kill()
    stack.during(240)
    assert (stack.last["message"], stack.last["held"]) == ("System healthy", True)
    assert 230_000 <= stack.last["age_ms"] <= 280_000
    stack.during(HOUR - 240)
    assert stack.restarts == 0
    assert (stack.last["healthy"], stack.last["overall_healthy"], stack.last["held"]) == (True, False, True)
    assert stack.last["message"] == "No data from the source (refused)"
    assert [check["value"] for check in stack.last["checks"].values()] == [None, None]
    server.start()
    stack.during(60)
    assert (stack.last["message"], stack.last["overall_healthy"]) == ("System healthy", True)


def test_an_hour_without_prometheus_after_a_hot_key(server: PrometheusServer, exporter: Exporter) -> None:
    """A failure that was there is not kept for ever, either."""
    exporter.text = lines(GROUP, [0, 0, 0, 400, 0, 0])
    server.wait_for_value("kafka:group_skew_ratio", 6)
    stack = Stack(server, MONITOR_CHECKS__KAFKA__SUSTAINED="0s")
    stack.during(30)
    assert stack.last["reason"] == "skew"
    server.kill()
    stack.during(HOUR)
    assert (stack.restarts, stack.last["message"]) == (0, "No data from the source (refused)")


def test_a_stack_that_starts_without_prometheus(server: PrometheusServer) -> None:
    """There has been no verdict to keep."""
    server.kill()
    stack = Stack(server)
    stack.during(HOUR)
    assert (stack.restarts, stack.last["message"]) == (0, "No data from the source (refused)")


def test_without_forever_it_would_be_restarted(server: PrometheusServer) -> None:
    """The same hour counts restarts where a probe does fail for the want of numbers: it can fail."""
    server.kill()
    stack = Stack(server, HOLD_FOR="5m")
    stack.during(HOUR)
    assert stack.restarts >= 5
    assert stack.last["healthy"] is False
