"""Real roles: what stops coming is noted, and a dead-man's switch hears of nothing while something is broken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from monitor.model.checks import Flight, Status, Transition
from monitor.policy import self_check
from monitor.ports.store import FlightRefused
from tests.support.processes import wait_for
from tests.support.roles import FailureText, Monitor, StartMonitor

ROSTER = """
[alerting]
sweep_interval = "0.5s"
ping_interval = "1s"

[checks.steady]
kind = "python"
path = "tests.support.user_checks:nothing"
interval = "1s"

[checks.other]
kind = "python"
path = "tests.support.user_checks:nothing"
interval = "1s"
"""


class Switch:
    """A dead-man's switch: counts the pings it is sent."""

    def __init__(self) -> None:
        self.pings = 0
        self.status = 200

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:
                self.pings += handler.path == "/s3cret-uuid"
                handler.send_response(self.status)
                handler.send_header("Content-Length", "0")
                handler.end_headers()

            def log_message(handler, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/s3cret-uuid"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def switch() -> Iterator[Switch]:
    """One that listens."""
    switch = Switch()
    yield switch
    switch.close()


def test_what_stops_coming_is_noted(start_monitor: StartMonitor, switch: Switch) -> None:
    """A check that never gets its turn goes stale by a transition, the others do not; and it comes back by one."""
    monitor = start_monitor(ROSTER, env={"MONITOR_ALERTING__PING_URL": switch.url, "MONITOR_LOG_LEVEL": "debug"})
    monitor.worker()
    monitor.beat()
    monitor.wait_for_results("steady", "other", *self_check.specs(1.0))
    wait_for(lambda: switch.pings >= 2, seconds=30, what=FailureText(monitor, "pings"))

    held = wait_for(lambda: _hold(monitor, "steady"), seconds=10, what="the check's flight is ours")
    gone = _wait_for_transition(monitor, "steady", Status.STALE)
    assert (gone.old, gone.reason) == (Status.OK, "stale")
    said = monitor.wait_for_results(self_check.RESULTS, after=gone.at)[self_check.RESULTS]
    assert (said.status, said.reason, said.data["overdue"]) == (Status.WARNING, "overdue", 1)
    pings = switch.pings
    monitor.wait_for_results(self_check.BEAT, after=said.observed_at + 2.0)
    assert switch.pings == pings  # twice its interval has passed

    monitor.store.states.release(held)
    back = _wait_for_transition(monitor, "steady", Status.OK)
    assert back.old is Status.STALE
    assert back.sequence > gone.sequence
    wait_for(lambda: switch.pings > pings, seconds=30, what=FailureText(monitor, "pings again"))
    assert {found.check for found in _transitions(monitor) if found.new is Status.STALE} == {"steady"}
    assert "s3cret-uuid" not in monitor.logs()  # not even where everything is logged


def test_an_hour_without_beat_is_no_storm(start_monitor: StartMonitor, switch: Switch) -> None:
    """Nothing is told of the time in which nobody looked; pings stop with beat, and a failed ping is tried again."""
    monitor = start_monitor(ROSTER, env={"MONITOR_ALERTING__PING_URL": switch.url})
    monitor.worker()
    beat = monitor.beat()
    wait_for(lambda: switch.pings >= 1, seconds=30, what=FailureText(monitor, "a ping"))
    monitor.wait_for_results("steady", "other")
    beat.kill()
    last = monitor.store.states.now()
    pings = wait_for(lambda: monitor.store.states.now() > last + 4.0 and switch.pings, seconds=20, what="four seconds")
    switch.status = 503
    monitor.beat()
    wait_for(lambda: switch.pings >= pings + 3, seconds=30, what=FailureText(monitor, "pings that are refused"))
    assert "ping.not_reached" in monitor.logs()
    monitor.wait_for_results("steady", "other", self_check.RESULTS, after=last + 4.0)
    assert not [found for found in _transitions(monitor) if found.new is Status.STALE]


def _hold(monitor: Monitor, check: str) -> Flight | None:
    try:
        return monitor.store.states.take(check, "held", lease_seconds=60)
    except FlightRefused:
        return None


def _transitions(monitor: Monitor) -> list[Transition]:
    return [transition for _, transition in monitor.store.states.transitions(limit=1000)]


def _wait_for_transition(monitor: Monitor, check: str, new: Status) -> Transition:
    def last() -> Transition | None:
        found = [transition for transition in _transitions(monitor) if transition.check == check]
        return found[-1] if found and found[-1].new is new else None

    return wait_for(last, seconds=30, what=FailureText(monitor, f"{check} becomes {new}"))
