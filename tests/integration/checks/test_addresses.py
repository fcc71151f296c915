"""Kinds that connect to a host whose first address, or the first of several hosts, does not answer."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from monitor.checks.registry import KINDS
from monitor.lib.attempts import address_count
from monitor.model.checks import Status
from tests.support.faults import FaultProxy
from tests.support.names import SilentPort, with_own_files
from tests.support.redis_server import RedisServer

RUN = """
import json, sys
from monitor.checks.registry import KINDS
for kind, options in json.load(sys.stdin):
    outcome = KINDS.build(kind, options).run(2.0)
    print(kind, outcome.status.value, outcome.reason)
"""
Serve = Callable[[Callable[[socket.socket], None]], int]


def answer(client: socket.socket) -> None:
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_a_name_with_a_silent_address(redis_server: RedisServer, serve: Serve, tmp_path: Path) -> None:
    """Connections to the first address are swallowed; there is time for the second one."""
    names = tmp_path / "hosts"
    names.write_text("::1 two\n127.0.0.1 two\n")
    web, redis = serve(answer), f"redis://two:{redis_server.port}/0"
    silent = [SilentPort("::1", web), SilentPort("::1", redis_server.port)]
    checks = [
        ("tcp", {"host": "two", "port": redis_server.port}),
        ("http", {"url": f"http://two:{web}/"}),
        ("redis", {"url": redis}),
        ("celery", {"broker_url": redis}),
    ]
    command = [*with_own_files({"/etc/hosts": names}), sys.executable, "-c", RUN]
    done = subprocess.run(command, input=json.dumps(checks), capture_output=True, text=True, timeout=60, check=False)
    for each in silent:
        each.close()
    assert done.stdout.splitlines() == [f"{kind} ok None" for kind, _ in checks], done.stderr


def test_a_broker_list_whose_first_host_is_silent(
    redis_server: RedisServer, fault_proxy: Callable[[str, int], FaultProxy]
) -> None:
    """Celery fails over to the second one, and there is time for it."""
    silent = fault_proxy("127.0.0.1", redis_server.port)
    silent.set("blackhole")
    url = f"redis://127.0.0.1:{silent.port}/0;{redis_server.url}"
    outcome = KINDS.build("celery", {"broker_url": url}).run(4.0)
    assert outcome.status is Status.OK, outcome.message


def test_a_host_that_is_no_name() -> None:
    """A socket's path, as kombu has it, and a label that is too long: one attempt."""
    assert address_count("tmp/" + "x" * 70 + "/redis.sock") == address_count("/tmp/redis.sock") == 1
    assert address_count("x" * 70 + ".example", 80) == 1
    outcome = KINDS.build("tcp", {"host": "x" * 70 + ".example", "port": 80}).run(2.0)
    assert (outcome.status, outcome.reason) == (Status.ERROR, "name_resolution")
