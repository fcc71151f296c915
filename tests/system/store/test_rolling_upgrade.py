"""Roles of two versions on one store, as in a rolling upgrade and in its rollback."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.support.alert_receiver import receiving
from tests.support.celery_nodes import HostProcess
from tests.support.earlier_version import start_earlier
from tests.support.processes import free_port, wait_for
from tests.support.roles import AUTHORIZED, FailureText, Monitor, StartMonitor, get_json

CONFIG = """
[workers]
interval = "1s"
[alerting]
sweep_interval = "1s"
[channels.hook]
kind = "webhook"
url = "{receiver}"
[checks.redis]
kind = "redis"
interval = "1s"
groups = ["ready"]
[checks.flip]
kind = "tcp"
host = "127.0.0.1"
port = {port}
interval = "1s"
critical = false
"""


def end(roles: list[HostProcess]) -> None:
    """End roles as a deployment does."""
    for role in roles:
        role.kill("SIGTERM")


def is_ready(monitor: Monitor, port: int) -> bool:
    """Return whether the web server on a port answers that the monitor is ready, with a fresh result of each check."""
    try:
        code, body = get_json(f"http://127.0.0.1:{port}/api/health/detailed/", headers=AUTHORIZED)
        ready, _ = get_json(f"http://127.0.0.1:{port}/api/health/ready/", headers=AUTHORIZED)
    except OSError:
        return False
    return (code, ready) == (200, 200) and body["checks"]["redis"]["status"] == "ok"


def test_old_and_new_roles_share_a_store(start_monitor: StartMonitor, earlier_version: Path) -> None:
    """Each pair of beat and worker runs the checks, each web server shows them, and each alert is sent once."""
    port, old_port = free_port(), free_port()
    with receiving() as receiver:
        monitor = start_monitor(CONFIG.format(receiver=receiver.url, port=port))
        start_earlier(monitor, earlier_version, "web", "--port", str(old_port))
        monitor.web()
        pairs = {
            "earlier": lambda name: start_earlier(monitor, earlier_version, name),
            "this": monitor.run,
        }
        for beat, worker in (("earlier", "earlier"), ("earlier", "this"), ("this", "earlier"), ("this", "this")):
            roles = [pairs[worker]("worker"), pairs[beat]("beat")]
            text = FailureText(monitor, f"beat of {beat} version, worker of {worker} version")
            monitor.wait_for_results("redis", "flip", after=monitor.store.states.now(), seconds=60)
            for each in (monitor.port, old_port):
                wait_for(lambda each=each: is_ready(monitor, each), seconds=30, what=text)
            end(roles)
        # The failure was notified by the first pair. A pair with another worker resolves it.
        wait_for(lambda: receiver.kinds("flip"), seconds=30, what=FailureText(monitor, "a notice"))
        assert receiver.kinds("flip") == ["firing"]
        with socket.create_server(("127.0.0.1", port)):
            roles = [pairs["this"]("worker"), pairs["earlier"]("beat")]
            wait_for(
                lambda: receiver.kinds("flip") == ["firing", "resolved"],
                seconds=60,
                what=FailureText(monitor, "the recovery is notified"),
            )
            end(roles)
    with monitor.redis.client() as client:
        assert not client.exists("monitor:aside"), client.hgetall("monitor:aside")
    statuses = [monitor.run("events", "--json"), start_earlier(monitor, earlier_version, "events", "--json")]
    assert [command.wait() for command in statuses] == [0, 0], monitor.logs()
    assert statuses[0].logs() == statuses[1].logs()
