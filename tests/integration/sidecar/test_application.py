"""All endpoints of the sidecar over a store in memory: paths, methods, headers, metrics."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from monitor.api.service import build
from monitor.sidecar.application import Application
from monitor.store.memory.store import MemoryStore
from tests.support.builders import values
from tests.support.processes import wait_for
from tests.support.prometheus_server import find_promtool
from tests.unit.sidecar.test_contract import BAD, GOOD, SKEWED, kafka


class Client:
    """A sidecar's application, asked without a socket."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        config = values.config(
            kafka(), values.check("redis", critical=False), token="s3cret-s3cret-s3cret", refresh_interval=0.05
        )
        self.service = build(config, connect=lambda: self.store)
        self._application = validator(Application(self.service))

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status code, headers and body."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SCRIPT_NAME": "",
            **headers,
        }
        setup_testing_defaults(environ)
        answered: list[Any] = []
        body = self._application(environ, lambda line, found, *_: answered.append((int(line[:3]), dict(found))))
        try:
            text = b"".join(body)
        finally:
            body.close()  # type: ignore[attr-defined]
        return *answered[0], text

    def json(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status code and body."""
        status, _, body = self.ask(path)
        return status, json.loads(body)

    def observe(self, status: str, **fields: Any) -> None:
        """A run of the check ends, and is known to the endpoints."""
        values.record(self.store, "kafka", status, **fields)
        at = self.store.states.read(["kafka"]).states["kafka"].result.run_id
        wait_for(lambda: self._known() == at, what="the refresher has read it")

    def _known(self) -> str | None:
        self.service.refresher.start()
        state = self.service.refresher.snapshot().states.get("kafka")
        return state.result.run_id if state else None


@pytest.fixture
def client() -> Iterator[Client]:
    """A sidecar that has seen nothing yet."""
    client = Client()
    yield client
    client.service.refresher.stop()


def good(client: Client) -> None:
    """All is well."""
    client.observe("ok", data=GOOD, message="System healthy")


def bad(client: Client) -> None:
    """A hot key."""
    client.observe("error", data=BAD, reason="skew", message=SKEWED)


def test_ready_is_200_or_500(client: Client) -> None:
    """Not 503: the contract has said 500 from the start."""
    assert client.json("/ready")[0] == 500
    good(client)
    status, body = client.json("/ready")
    assert (status, body["healthy"], body["message"]) == (200, True, "System healthy")
    bad(client)
    status, body = client.json("/ready/")
    assert (status, body["healthy"], body["message"]) == (500, False, SKEWED)


def test_health_and_status_are_always_200(client: Client) -> None:
    """Whatever has been found: the process lives, and status tells."""
    for observe, healthy in ((bad, False), (good, True)):
        observe(client)
        assert client.json("/health") == (200, {"status": "alive", "service": "orders"})
        status, body = client.json("/status")
        assert (status, body["overall_healthy"], body["healthy"]) == (200, healthy, healthy)
        assert body["config"]["kafka"]["groups"] == ["orders"]


@pytest.mark.parametrize("path", ["/health", "/ready", "/status", "/metrics", "/livez", "/api/health/detailed"])
def test_paths_and_methods(client: Client, path: str) -> None:
    """With and without the trailing slash, for GET and HEAD; 405 for the rest; nothing is to be kept by anybody."""
    good(client)
    for each in (path, f"{path}/"):
        for method in ("GET", "HEAD"):
            status, headers, body = client.ask(each, method)
            assert (status, headers["Cache-Control"]) == (200, "no-store")
            assert (body != b"") == (method == "GET")
            assert int(headers["Content-Length"]) > 0
        status, headers, _ = client.ask(each, "POST")
        assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/nope", "/ready/x", "/readyx", "/api/health", "/api/health/nope/", "/ready//"])
def test_other_paths(client: Client, path: str) -> None:
    """404, as JSON."""
    assert client.json(path) == (404, {"error": "not_found"})


def test_the_usual_probes(client: Client) -> None:
    """What every server of ours answers, in its own dialects and with its own status codes."""
    bad(client)
    assert client.json("/api/health/ready/")[0] == 503
    assert client.json("/api/health/checks/kafka")[1]["skew_ratio_max"] == 5.2
    assert client.ask("/readyz", QUERY_STRING="verbose")[2].endswith(b"readyz check failed\n")
    assert client.ask("/healthz")[2] == b"ok"
    assert client.ask("/startupz/")[0] == 200
    assert client.ask("/api/health/workers/")[0] == 401
    assert client.ask("/api/health/workers/", HTTP_AUTHORIZATION="Bearer s3cret-s3cret-s3cret")[0] == 200


def samples(client: Client) -> dict[str, float]:
    """The exposition without histograms."""
    lines = re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", client.ask("/metrics")[2].decode(), re.MULTILINE)
    return {name: float(value) for name, value in lines if "duration" not in name}


def test_metrics(client: Client) -> None:
    """Answers and failures are counted; what is known is shown, and what is not known has no sample."""
    client.ask("/ready")
    assert samples(client) == {
        'health_probe_checks_total{endpoint="ready",status="unhealthy"}': 1.0,
        'health_probe_failures_total{check_type="kafka_group",reason="not_observed"}': 1.0,
        "health_probe_status": 0.0,
    }
    bad(client)
    for path in ("/ready", "/ready/", "/health", "/status", "/livez", "/nope", "/api/health/live/"):
        client.ask(path)
    good(client)
    client.ask("/ready")
    found = samples(client)
    observed_at = client.store.states.read(["kafka"]).states["kafka"].result.observed_at
    assert found.pop("health_probe_last_check_timestamp") == pytest.approx(observed_at, abs=0.01)
    assert found == {
        'health_probe_checks_total{endpoint="ready",status="unhealthy"}': 3.0,
        'health_probe_checks_total{endpoint="ready",status="healthy"}': 1.0,
        'health_probe_checks_total{endpoint="health",status="healthy"}': 1.0,
        'health_probe_checks_total{endpoint="status",status="unhealthy"}': 1.0,
        'health_probe_checks_total{endpoint="metrics",status="healthy"}': 1.0,
        'health_probe_checks_total{endpoint="livez",status="healthy"}': 1.0,
        'health_probe_checks_total{endpoint="live",status="healthy"}': 1.0,
        'health_probe_failures_total{check_type="kafka_group",reason="not_observed"}': 1.0,
        'health_probe_failures_total{check_type="skew_ratio",reason="skew"}': 2.0,
        "health_probe_status": 1.0,
        "health_probe_skew_ratio": 1.5,
        "health_probe_consumer_count": 2.0,
    }
    assert 'health_probe_duration_seconds_count{endpoint="ready"} 4.0' in client.ask("/metrics")[2].decode()


def test_promtool_has_nothing_to_say(client: Client) -> None:
    """`promtool check metrics` is clean, before the first result and after it."""
    promtool = find_promtool()
    for observe in (lambda _: None, good, bad):
        observe(client)
        client.ask("/ready")
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=client.ask("/metrics")[2], capture_output=True, check=False
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_openmetrics_on_request(client: Client) -> None:
    """A scraper that prefers it gets OpenMetrics."""
    _, headers, body = client.ask("/metrics", HTTP_ACCEPT="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text") and body.endswith(b"# EOF\n")


def test_a_fault_of_ours_is_an_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug behind an endpoint is 500 without a stack trace, and the next answer comes."""
    monkeypatch.setattr("monitor.sidecar.verdict.current_verdict", lambda *_: 1 / 0)
    assert client.json("/ready") == (500, {"healthy": False, "message": "Internal error (see the log)"})
    assert client.json("/health")[0] == 200
