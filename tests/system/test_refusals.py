"""What a server answers ends no role: worker and beat go on as soon as it is repaired. Real roles, a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from tests.support.processes import wait_for
from tests.support.redis_server import RedisServer
from tests.support.roles import Monitor, StartMonitor, Told

ROSTER = """
[defaults]
interval = 1
[checks.one]
kind = "python"
path = "tests.system.user_checks:nothing"
groups = ["ready"]
"""
ADMIN = "redis://admin:admin@127.0.0.1:{port}/0"

Act = Callable[[redis.Redis], object]


def acl(*rules: str) -> Act:
    """Change the rights of the user that the roles log in as, and end its connections, as a rotation does."""

    def act(client: redis.Redis) -> object:
        client.execute_command("ACL", "SETUSER", "default", *rules)
        return client.execute_command("CLIENT", "KILL", "USER", "default")

    return act


def config(name: str, value: object) -> Act:
    """Set a parameter of the server."""
    return lambda client: client.config_set(name, str(value))


def busy(client: redis.Redis) -> object:
    """Hold the server with a script; it answers BUSY to everybody after 100 ms."""
    client.config_set("busy-reply-threshold", 100)
    connection = client.connection_pool.get_connection()
    connection.send_command("EVAL", "while true do end", "0")
    return connection


REFUSALS: dict[str, tuple[Act, Act, str]] = {
    "memory is full": (config("maxmemory", 1), config("maxmemory", 0), "OutOfMemory|OOM"),
    "password rotated": (
        acl("resetpass", ">other"),
        acl("resetpass", "nopass"),
        "invalid username-password|NOAUTH|Authentication required|HELLO must",
    ),
    "no right to write": (acl("-@write"), acl("+@all"), "no permission|NOPERM"),
    "no rights at all": (acl("-@all"), acl("+@all"), "no permission|NOPERM"),
    "demoted to a replica": (
        lambda client: client.replicaof("127.0.0.1", 1),
        lambda client: client.replicaof("NO", "ONE"),
        "UNBLOCKED|read only",
    ),
    "replica that knows no data": (
        lambda client: (client.config_set("replica-serve-stale-data", "no"), client.replicaof("127.0.0.1", 1)),
        lambda client: client.replicaof("NO", "ONE"),
        "MASTERDOWN|UNBLOCKED|read only",
    ),
    "held by a script": (busy, lambda client: client.script_kill(), "BUSY"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_roles_go_on_after_a_refusal(case: str, start_monitor: StartMonitor) -> None:
    """Worker and beat survive what the server answers, name it once, and work after the repair."""
    refuse, repair, named = REFUSALS[case]
    monitor = start_monitor(ROSTER)
    admin = _admin(monitor.redis)
    roles = monitor.worker(), monitor.beat()
    monitor.wait_for_results("one")
    refuse(admin)
    wait_for(lambda: _named(monitor, named), seconds=30, what=Told(monitor, f"the log names {named}"))
    assert [role.status for role in roles] == ["running", "running"], monitor.logs()
    repair(admin)
    _works_again(monitor, admin)
    assert [role.status for role in roles] == ["running", "running"], monitor.logs()
    for role in roles:
        assert len(role.logs().splitlines()) < 60, role.logs()


@pytest.mark.parametrize("case", ["password rotated", "no rights at all", "memory is full", "demoted to a replica"])
def test_roles_start_while_they_are_refused(case: str, start_monitor: StartMonitor) -> None:
    """The same when the server refuses from the start."""
    refuse, repair, named = REFUSALS[case]
    monitor = start_monitor(ROSTER)
    admin = _admin(monitor.redis)
    refuse(admin)
    roles = monitor.worker(), monitor.beat()
    wait_for(lambda: _named(monitor, named), seconds=30, what=Told(monitor, f"the log names {named}"))
    repair(admin)
    _works_again(monitor, admin)
    assert [role.status for role in roles] == ["running", "running"], monitor.logs()


def _admin(server: RedisServer) -> redis.Redis:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "admin", "on", ">admin", "~*", "&*", "+@all")
    return redis.Redis.from_url(ADMIN.format(port=server.port))


def _works_again(monitor: Monitor, admin: redis.Redis) -> None:
    now, _ = admin.time()
    monitor.wait_for_results("one", after=now, seconds=30)


def _named(monitor: Monitor, reasons: str) -> bool:
    return any(reason in monitor.logs() for reason in reasons.split("|"))
