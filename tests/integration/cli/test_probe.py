"""`monitor probe` as its users start it: a process, against a real HTTP server."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.support.processes import free_port

READY = {"status": "ready", "checks": {"database": {"status": "ok"}, "disk": {"status": "warning"}}}
NOT_READY = {"status": "not_ready", "checks": {"database": {"status": "error"}, "redis": {"status": "ok"}}}


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Answers by path: a status code and a body, or slowly, or never."""

    answers: ClassVar = {
        "/ready": (200, json.dumps(READY)),
        "/not-ready": (503, json.dumps(NOT_READY)),
        "/livez": (200, "ok"),
        "/list": (200, "[1]"),
        "/moved": (301, ""),
    }

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/never":
            time.sleep(30)
            return
        if self.path == "/drip":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b" ")
                time.sleep(0.1)
            return
        status, body = self.answers[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server with an endpoint of each sort."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def probe(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `monitor probe`."""
    command = [sys.executable, "-m", "monitor", "probe", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize(
    ("path", "exit_code", "says"),
    [
        ("/ready", 0, "ok: 200 ready"),
        ("/not-ready", 1, "failed: 503 not_ready [database]"),
        ("/livez", 0, "ok: 200"),
        ("/list", 0, "ok: 200"),
        ("/moved", 1, "failed: 301"),
    ],
)
def test_exit_code_and_line_follow_the_answer(server: str, path: str, exit_code: int, says: str) -> None:
    """2xx passes, anything else fails, and the one line says which checks are to blame."""
    done = probe(server + path)
    assert (done.returncode, done.stdout) == (exit_code, f"{says} ({server}{path})\n")


@pytest.mark.parametrize("path", ["/never", "/drip"])
def test_the_time_limit_is_for_all_of_it(server: str, path: str) -> None:
    """A server that never answers, or answers a byte at a time, fails the probe at its limit."""
    started = time.monotonic()
    done = probe(server + path, "--timeout", "0.5")
    assert done.returncode == 1
    assert done.stdout.startswith("failed: ") and done.stdout.count("\n") == 1
    assert time.monotonic() - started < 3


def test_nobody_there() -> None:
    """A refused connection is a failure with a reason, not a traceback."""
    done = probe(f"http://127.0.0.1:{free_port()}/")
    assert done.returncode == 1
    assert "refused" in done.stdout and not done.stderr


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost/", "http://", "http://h:port/", "http://h:0/"])
def test_what_is_no_url_is_said_so(url: str) -> None:
    """A wrong command line is exit 2, as everywhere."""
    done = probe(url)
    assert done.returncode == 2
    assert "not an http:// or https:// URL" in done.stderr


def test_imports_none_of_the_heavy_parts(server: str) -> None:
    """It stays light: a HEALTHCHECK starts it every few seconds in every container."""
    command = [sys.executable, "-X", "importtime", "-m", "monitor", "probe", f"{server}/ready"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.startswith("ok: 200 ready")
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "monitor" in modules
    heavy = {"django", "celery", "kombu", "redis", "pydantic", "click", "rich", "psutil", "structlog"}
    assert not heavy & modules
