"""Real proxies in front of `monitor web`, configured as briefly as they can be: they open nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.support.builders.values import record
from tests.support.processes import free_port, missing, wait_for
from tests.support.roles import AUTHORIZED, Monitor, StartMonitor

TOML = '[checks.database]\nkind = "database"\n'
PROBES = ("/livez", "/api/health/live/", "/api/health/detailed/")
GUARDED = (
    "/api/health/workers/",
    "/api/health/alerts/",
    "/api/health/events/",
    "/api/health/uptime/",
    "/api/health/history/?check=database",
    "/api/health/snapshot/",
    "/api/health/detailed/?at=-1h",
    "/api/health/detailed/?full",
    "/admin/monitoring/",
)
# nginx since 1.29.7 speaks HTTP/1.1 with keep-alive to its upstream by default; before it, two lines do the same.
NGINX = """
daemon off; pid {home}/nginx.pid; error_log stderr; worker_processes 1;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{behind}; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""
HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend all
  bind 127.0.0.1:{port}
  default_backend monitor
backend monitor
  server monitor 127.0.0.1:{behind}
"""
COMMANDS = {"nginx": (NGINX, ["-c"]), "haproxy": (HAPROXY, ["-db", "-f"])}

StartProxy = Callable[[str, int], int]


def ask(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    """Status code and body of a GET, on a new connection."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def passes(port: int) -> bool:
    """Whether a proxy answers there with what is behind it."""
    try:
        return ask(port, "/livez")[0] == 200
    except (OSError, HTTPException):
        return False


@pytest.fixture
def start_proxy(tmp_path: Path) -> Iterator[StartProxy]:
    """`start_proxy("nginx", behind)`: the port of a proxy before that port; ends with the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(name: str, behind: int) -> int:
        path = f"/usr/sbin:/usr/local/sbin:{os.environ['PATH']}"
        executable = shutil.which(name, path=path) or missing(name)
        text, arguments = COMMANDS[name]
        port, file = free_port(), tmp_path / f"{name}.conf"
        file.write_text(text.format(home=tmp_path, port=port, behind=behind))
        processes.append(subprocess.Popen([executable, *arguments, str(file)], cwd=tmp_path))
        wait_for(lambda: passes(port), seconds=30, what=f"{name} answers")
        return port

    yield start
    for process in processes:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def served(start_monitor: StartMonitor) -> Monitor:
    """A server that makes its own token, and a message that is for the authorised alone."""
    monitor = start_monitor(TOML, {"MONITOR_TOKEN": ""})
    monitor.web()
    record(monitor.store, "database", message="PostgreSQL on db-1")
    return monitor


@pytest.mark.parametrize("name", COMMANDS)
def test_a_bare_proxy_opens_nothing(served: Monitor, start_proxy: StartProxy, tmp_path: Path, name: str) -> None:
    """Over HTTP/1.1 with no forwarding header: only the token opens what is guarded; probes are for everybody."""
    port = start_proxy(name, served.port)
    token = (tmp_path / "data" / "token").read_text().strip()
    for path in GUARDED:
        for headers in (
            {},
            {"Host": f"127.0.0.1:{served.port}"},
            {"Sec_Fetch_Site": "same-origin"},
            {"Authorization": "Bearer "},
        ):
            status, body = ask(port, path, **headers)
            assert (status, b"db-1" in body) == (401, False), (path, headers)
    for path in PROBES:
        status, body = ask(port, path)
        assert (status, b"db-1" in body) == (200, False), path
    right = {"Authorization": f"Bearer {token}"}
    assert ask(port, "/api/health/workers/", **right)[0] == ask(port, "/admin/monitoring/", **right)[0] == 200
    assert ask(port, "/api/health/workers/", **AUTHORIZED)[0] == 401  # a token, but of another server
