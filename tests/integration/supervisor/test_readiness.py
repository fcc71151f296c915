"""What `monitor up` says when the first snapshot does not come."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import ClassVar

import pytest

from monitor.cli.up import FIRST_SNAPSHOT_SECONDS, FirstSnapshot
from monitor.supervisor import readiness
from monitor.supervisor.children import Role
from monitor.supervisor.output import Output
from monitor.supervisor.supervisor import Supervisor
from tests.support.logs import capture_logs
from tests.support.processes import free_port


class Health(http.server.BaseHTTPRequestHandler):
    """A web role whose checks are in every state."""

    checks: ClassVar = {
        "redis": {"status": "ok"},
        "disk": {"status": "warning", "reason": "above_threshold"},
        "database": {"status": "unknown", "reason": "not_observed"},
        "celery": {"status": "stale", "reason": "stale"},
    }

    def do_GET(self) -> None:
        """Answer like the endpoints do."""
        self.send_response(503 if "ready" in self.path else 200)
        body = json.dumps({"status": "-", "checks": self.checks}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web_port() -> Iterator[int]:
    """The port of a web role."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def complaints(port: int, supervisor: Supervisor, waited_seconds: float) -> list[list[str]]:
    """The reasons given in each complaint, after having looked three times."""
    started_at = time.monotonic() - waited_seconds
    first = FirstSnapshot("127.0.0.1", port, supervisor, Output(terminal=False), started_at=started_at, token=None)
    with capture_logs() as events:
        for _ in range(3):
            first.tick()
    return [event["reasons"] for event in events if event["event"] == "up.no_snapshot"]


def idle() -> Supervisor:
    """A supervisor that has started nothing."""
    return Supervisor(None, [], "mark", Output(terminal=False))


def test_a_silent_web_role_is_said_once() -> None:
    """After half a minute, and not again at every look."""
    assert complaints(free_port(), idle(), FIRST_SNAPSHOT_SECONDS + 1) == [["web does not answer"]]


def test_nothing_is_said_before_its_time() -> None:
    """Starting takes a while, and that is no news."""
    assert complaints(free_port(), idle(), FIRST_SNAPSHOT_SECONDS - 10) == []


def test_checks_that_nobody_runs_are_named(web_port: int) -> None:
    """Never observed, or only by an earlier start: either way no worker has run them."""
    assert complaints(web_port, idle(), FIRST_SNAPSHOT_SECONDS + 1) == [["not observed yet: database, celery"]]


def test_a_view_of_the_endpoints(web_port: int) -> None:
    """The verdict, and each check's status with its reason."""
    view = readiness.fetch_readiness("127.0.0.1", web_port)
    assert view is not None
    assert not view.ready
    assert view.not_ok == {
        "disk": "warning (above_threshold)",
        "database": "unknown (not_observed)",
        "celery": "stale",
    }


def test_a_child_that_keeps_ending_is_blamed() -> None:
    """With its exit code, so that one knows where to look; the delay before each start grows."""
    supervisor: Supervisor
    seen: list[dict[str, str]] = []

    def stop_after_two() -> None:
        if "3 times" in supervisor.exited_children.get("worker", ""):
            seen.append(supervisor.exited_children)
            supervisor.stop()

    role = Role("worker", (sys.executable, "-c", "raise SystemExit(7)"))
    supervisor = Supervisor(None, [role], f"test-{free_port()}-{time.time_ns()}", Output(terminal=False))
    with capture_logs() as events:
        supervisor.run(lambda: True, stop_after_two)
    assert seen == [{"worker": "ended 3 times, last with exit code 7"}]
    delays = [event["restart_in_seconds"] for event in events if event["event"] == "up.child_ended"]
    assert delays[:3] == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("listens", "reached"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1"), ("10.1.2.3", "10.1.2.3")],
)
def test_where_to_ask_a_listener(listens: str, reached: str) -> None:
    """Who listens everywhere is asked on loopback."""
    assert readiness.reachable_address(listens) == reached
