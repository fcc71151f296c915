"""Our own server, as `monitor web` starts it: who is let in, and a thousand workers."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import pytest

from tests.api.values import record
from tests.support.processes import wait_for
from tests.support.roles import Monitor, StartMonitor

TOML = '[checks.database]\nkind = "database"\n'
WORKERS = "/api/health/workers/"


def ask(monitor: Monitor, path: str = WORKERS, *, version: int = 11, **headers: str) -> tuple[int, bytes]:
    """Status code and body of a GET with exactly these headers, on a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", monitor.port, timeout=30)
    connection._http_vsn, connection._http_vsn_str = version, f"HTTP/1.{version % 10}"  # type: ignore[attr-defined]
    try:
        connection.putrequest("GET", path, skip_host=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def served(monitor: Monitor, *arguments: str, **env: str) -> Monitor:
    """With `monitor web ARGUMENTS` running."""
    monitor.run("web", "--port", str(monitor.port), *arguments, **env)
    wait_for(lambda: _lives(monitor), seconds=60, what="monitor web answers")
    return monitor


def _lives(monitor: Monitor) -> bool:
    try:
        return monitor.get("live")[0] == 200
    except OSError:
        return False


def test_without_a_token_a_loopback_address_is_open_to_this_machine(start_monitor: StartMonitor) -> None:
    """Not to a name that was rebound to it, nor through a proxy; probes are for everybody."""
    monitor = served(start_monitor(TOML))
    record(monitor.store, "database", message="PostgreSQL on db-1")
    local = f"localhost:{monitor.port}"
    wait_for(lambda: b"db-1" in ask(monitor, "/api/health/detailed", Host=local)[1], seconds=30, what="the message")
    refused: list[dict[str, Any]] = [
        {"Host": f"evil.example:{monitor.port}"},
        {"Host": local, "X_Forwarded_For": "10.0.0.7"},
        {"Host": local, "X_Forwarded_Host": "shop.example"},
        {"Host": local, "Forwarded": "for=10.0.0.7"},
        {"Host": local, "X_Real_IP": "10.0.0.7"},
        {"Host": local, "version": 10},
        {"version": 10},
    ]
    assert ask(monitor, Host=local)[0] == 200
    for request in refused:
        assert ask(monitor, **request)[0] == 401, request
        status, body = ask(monitor, "/api/health/detailed", **request)
        assert (status, b"db-1" in body) == (200, False), request
        assert ask(monitor, "/livez", **request) == (200, b"ok")
    assert ask(monitor, Host=local)[0] == 200


@pytest.mark.parametrize(
    ("arguments", "env"),
    [(["--host", "0.0.0.0"], {}), ([], {"MONITOR_WEB__HOST": "0.0.0.0"}), ([], {"MONITOR_TOKEN": "hush"})],
    ids=["option", "setting", "token"],
)
def test_otherwise_being_on_this_machine_is_not_enough(
    start_monitor: StartMonitor, arguments: list[str], env: dict[str, str]
) -> None:
    """A server that others reach, or a token that is set."""
    monitor = served(start_monitor(TOML, env), *arguments)
    local = f"localhost:{monitor.port}"
    assert ask(monitor, Host=local)[0] == 401
    assert ask(monitor, Host=local, Authorization="Bearer hush")[0] == (200 if "MONITOR_TOKEN" in env else 401)


def test_a_thousand_workers(start_monitor: StartMonitor) -> None:
    """Answered in a tenth of a second (the best of some, for this machine has other work to do)."""
    monitor = start_monitor(TOML)
    for number in range(1000):
        name = f"celery@web-{number}"
        data = {"name": name, "verdict": "consuming", "queues": ["a", "b"], "slots": 8, "active": 3, "pool": "prefork"}
        detail = {"host": f"web-{number}", "versions": {"celery": "5.7.0", "python": "3.11"}, "tasks": [["a.b", 3.5]]}
        record(monitor.store, f"worker:{name}", valid_seconds=600, data=data, detail=detail)
    for number in range(50):
        record(monitor.store, f"queue:q{number}", valid_seconds=600, data={"verdict": "consumed"})
    served(monitor)
    local = f"localhost:{monitor.port}"
    wait_for(lambda: len(json.loads(ask(monitor, Host=local)[1])["workers"]) == 1000, seconds=30, what="all workers")
    took = []
    for _ in range(10):
        time.sleep(0.3)  # so that no answer is one that was kept
        began = time.monotonic()
        assert ask(monitor, Host=local)[0] == 200
        took.append(time.monotonic() - began)
    assert min(took) < 0.1
