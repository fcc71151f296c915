"""Our own server, as `monitor web` starts it: who is let in, and a thousand workers."""

from __future__ import annotations

import http.client
import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders.values import record
from tests.support.processes import wait_for
from tests.support.roles import AUTHORIZED, Monitor, StartMonitor

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


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_nothing_but_a_proof_opens_what_is_guarded(start_monitor: StartMonitor, host: str) -> None:
    """Not a name of this machine, not a missing forwarding header, not an old protocol; probes are for everybody."""
    monitor = served(start_monitor(TOML), "--host", host)
    record(monitor.store, "database", message="PostgreSQL on db-1")
    local = f"localhost:{monitor.port}"
    detailed = "/api/health/detailed"
    wait_for(lambda: b"db-1" in ask(monitor, detailed, Host=local, **AUTHORIZED)[1], seconds=30, what="the message")
    refused: list[dict[str, Any]] = [
        {"Host": local},
        {"Host": f"127.0.0.1:{monitor.port}"},
        {"Host": f"evil.example:{monitor.port}"},
        {"Host": local, "X_Forwarded_For": "127.0.0.1"},
        {"Host": local, "Sec_Fetch_Site": "same-origin"},
        {"Host": local, "Sec_Fetch_Site": "same-origin", "Cookie": f"monitor_session_{monitor.port}={'A' * 51}"},
        {"Host": local, "Authorization": "Bearer "},
        {"Host": local, "version": 10},
        {"version": 10},
    ]
    assert ask(monitor, Host=local, **AUTHORIZED)[0] == 200
    for request in refused:
        assert ask(monitor, **request)[0] == 401, request
        status, body = ask(monitor, detailed, **request)
        assert (status, b"db-1" in body) == (200, False), request
        assert ask(monitor, "/livez", **request) == (200, b"ok")
    assert ask(monitor, Host=local, **AUTHORIZED)[0] == 200


def test_without_a_token_the_server_makes_one(start_monitor: StartMonitor, tmp_path: Path) -> None:
    """In a file that only its user can read; `monitor token` prints it, and a restart keeps it."""
    monitor = served(start_monitor(TOML, {"MONITOR_TOKEN": ""}))
    file = tmp_path / "data" / "token"
    token = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert ask(monitor)[0] == ask(monitor, Authorization="Bearer ")[0] == 401
    assert ask(monitor, Authorization=f"Bearer {token}")[0] == 200
    printed = monitor.run("token")
    wait_for(lambda: printed.status == "exited", seconds=30, what="monitor token ended")
    assert printed.logs().strip() == token
    monitor.roles[0].kill("SIGTERM")
    served(monitor)
    assert ask(monitor, Authorization=f"Bearer {token}")[0] == 200


def test_without_a_place_for_a_token_it_stays_closed(start_monitor: StartMonitor, tmp_path: Path) -> None:
    """Said in one line; probes answer."""
    (tmp_path / "file").touch()
    monitor = served(start_monitor(TOML, {"MONITOR_TOKEN": "", "MONITOR_DATA_DIR": str(tmp_path / "file" / "data")}))
    assert ask(monitor)[0] == 401
    assert monitor.get("live")[0] == 200
    wait_for(lambda: monitor.logs().count("web.closed") == 1, what="one line")


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
    wait_for(
        lambda: len(json.loads(ask(monitor, Host=local, **AUTHORIZED)[1])["workers"]) == 1000,
        seconds=30,
        what="all workers",
    )
    took = []
    for _ in range(10):
        time.sleep(0.3)  # so that no answer is one that was kept
        began = time.monotonic()
        assert ask(monitor, Host=local, **AUTHORIZED)[0] == 200
        took.append(time.monotonic() - began)
    assert min(took) < 0.1
