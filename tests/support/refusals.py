"""Refusals of real servers: for each, how to provoke it and how to repair it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from monitor.store.redis.store import RedisStore
from tests.support.processes import free_port, missing, wait_for
from tests.support.rabbitmq_server import RabbitServer
from tests.support.redis_server import RedisServer, find_binary
from tests.support.roles import Monitor

ONE_CHECK = """
[defaults]
interval = 1
[checks.one]
kind = "python"
path = "tests.support.user_checks:nothing"
groups = ["ready"]
"""
ROSTER = f"""{ONE_CHECK}
[checks.redis]
kind = "redis"
"""
USER, PASSWORD, ADMIN = "monitor", "secret-1", "admin"
RIGHTS = ("~*", "&*", "+@all")
START = (
    *("--enable-debug-command", "yes", "--enable-protected-configs", "yes", "--busy-reply-threshold", "100"),
    *("--user", ADMIN, "on", f">{ADMIN}", *RIGHTS, "--user", USER, "on", f">{PASSWORD}", *RIGHTS),
)
KEYS_TO_LOAD = 20_000


class Refusing:
    """Private Redis in which the roles log in as ``monitor``, and which ``admin`` can change at any time."""

    def __init__(self) -> None:
        self.server = RedisServer(*START, binary=find_binary("redis-server") or missing("redis-server"))
        self.rabbit: RabbitServer | None = None
        self._load: threading.Thread | None = None

    @property
    def admin(self) -> redis.Redis:
        """Return a client with all permissions."""
        return self.server.client(username=ADMIN, password=ADMIN, socket_timeout=20)

    def url(self, user: str = USER, password: str = PASSWORD) -> str:
        """Return the address of the store with a login."""
        return f"redis://{user}:{password}@127.0.0.1:{self.server.port}/0"

    def config(self, **values: object) -> None:
        """Set parameters of the server."""
        for name, value in values.items():
            self.admin.config_set(name.replace("_", "-"), str(value))

    def acl(self, *rules: str, user: str = USER) -> None:
        """Change the rights of a user and end its connections, as a rotation of passwords does."""
        self.admin.execute_command("ACL", "SETUSER", user, *rules)
        self.admin.execute_command("CLIENT", "KILL", "USER", user)

    def hold(self) -> None:
        """Run a script that does not end."""
        connection = self.server.client().connection_pool.get_connection()
        connection.send_command("EVAL", "while true do end", "0")
        wait_for(lambda: not self.answers(), what="the server is busy")

    def release(self) -> None:
        """End the script."""
        self.admin.script_kill()
        wait_for(self.answers, every=0.01, what="the server is not busy")

    def answers(self) -> bool:
        """Return whether commands are executed."""
        try:
            self.admin.exists("nothing")
        except redis.RedisError:
            return False
        return True

    def load(self) -> None:
        """Load many keys again, slowly. The server answers LOADING meanwhile."""
        self.admin.execute_command("DEBUG", "POPULATE", KEYS_TO_LOAD, "filler", 10)
        self.config(key_load_delay=2000, loading_process_events_interval_bytes=1024)
        client = self.server.client(username=ADMIN, password=ADMIN, socket_timeout=120)
        self._load = threading.Thread(target=client.execute_command, args=("DEBUG", "RELOAD"), daemon=True)
        self._load.start()
        wait_for(lambda: not self.answers(), what="the server loads")

    def loaded(self) -> None:
        """Load the rest of the keys at once."""
        self.config(key_load_delay=0)
        if self._load is not None:
            self._load.join()

    def fail_to_save(self) -> None:
        """Make a snapshot fail: not even root can write to /proc."""
        self.config(dir="/proc", save="3600 1")
        self.admin.bgsave()
        wait_for(lambda: self.admin.info("persistence")["rdb_last_bgsave_status"] == "err", what="the snapshot fails")

    def start_as(self, *arguments: str) -> None:
        """Restart the server with more arguments. It is empty, but has its users."""
        self.server.kill()
        self.server._arguments = (*START, *arguments)
        self.server.start()

    def rabbitmq(self) -> RabbitServer:
        """Return the broker, if it is RabbitMQ."""
        assert self.rabbit is not None
        return self.rabbit

    def permit(self, pattern: str) -> None:
        """Set the permissions of the roles' user in RabbitMQ, and end its connections, which cache permissions."""
        self.rabbitmq().permit(USER, configure=pattern, write=pattern, read=pattern)
        self.disconnect()

    def change_password(self, password: str) -> None:
        """Change the password of the roles' user in RabbitMQ, and end its connections."""
        self.rabbitmq().add_user(USER, password)
        self.disconnect()

    def disconnect(self) -> None:
        """End the connections of the roles' user to RabbitMQ."""
        self.rabbitmq().close_connections(USER)

    def stop(self) -> None:
        """Stop the server."""
        self.server.stop()


Act = Callable[[Refusing], object]


@dataclass(frozen=True)
class Refusal:
    """One refusal: how to provoke it, how to repair it, and what the log has to name."""

    name: str
    answer: str
    refuse: Act
    repair: Act
    named: tuple[str, ...]
    broker: str = "redis"
    env: Mapping[str, str] = field(default_factory=dict)
    shown: str | None = None
    """Reason that web processes find themselves, and show for the check of the store."""
    anonymous: bool = False
    """True if the roles log in without a name."""


def _both(*acts: Act) -> Act:
    def act(rig: Refusing) -> None:
        for each in acts:
            each(rig)

    return act


_DENIED = ("NoPermission", "NOPERM", "no permission")
_DEMOTE: Act = lambda rig: rig.admin.replicaof("127.0.0.1", 1)  # noqa: E731
_PROMOTE: Act = lambda rig: rig.admin.replicaof("NO", "ONE")  # noqa: E731

REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        "memory is full",
        "OOM",
        lambda rig: rig.config(maxmemory=1),
        lambda rig: rig.config(maxmemory=0),
        ("OutOfMemory", "OOM"),
        shown="out_of_memory",
    ),
    Refusal(
        "password introduced",
        "NOAUTH",
        lambda rig: rig.acl("resetpass", ">other", user="default"),
        lambda rig: rig.acl("resetpass", "nopass", user="default"),
        ("AuthenticationError", "NOAUTH", "Authentication required"),
        shown="authentication",
        anonymous=True,
    ),
    Refusal(
        "password rotated",
        "WRONGPASS",
        lambda rig: rig.acl("resetpass", ">other"),
        lambda rig: rig.acl("resetpass", f">{PASSWORD}"),
        ("invalid username-password", "WRONGPASS"),
        shown="authentication",
    ),
    Refusal("no right to write", "NOPERM", lambda rig: rig.acl("-@write"), lambda rig: rig.acl("+@all"), _DENIED),
    Refusal(
        "no rights at all",
        "NOPERM",
        lambda rig: rig.acl("-@all"),
        lambda rig: rig.acl("+@all"),
        _DENIED,
        shown="permission",
    ),
    Refusal("no rights to keys", "NOPERM", lambda rig: rig.acl("resetkeys"), lambda rig: rig.acl("~*"), _DENIED),
    Refusal(
        "demoted to a replica", "UNBLOCKED, READONLY", _DEMOTE, _PROMOTE, ("UNBLOCKED", "read only"), shown="read_only"
    ),
    Refusal(
        "replica without its master",
        "MASTERDOWN",
        _both(lambda rig: rig.config(replica_serve_stale_data="no"), _DEMOTE),
        _PROMOTE,
        ("MASTERDOWN", "UNBLOCKED", "read only"),
    ),
    Refusal(
        "loads its data",
        "LOADING",
        Refusing.load,
        Refusing.loaded,
        ("BusyLoading", "LOADING", "loading"),
        shown="loading",
    ),
    Refusal("held by a script", "BUSY", Refusing.hold, Refusing.release, ("BUSY", "busy running")),
    Refusal(
        "cannot save",
        "MISCONF",
        Refusing.fail_to_save,
        lambda rig: rig.config(save=""),
        ("MISCONF",),
    ),
    Refusal(
        "a cluster without slots",
        "CLUSTERDOWN",
        lambda rig: rig.start_as("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
        lambda rig: rig.start_as(),
        ("CLUSTERDOWN", "ClusterDown", "Hash slot"),
    ),
    Refusal(
        "login refused",
        "ACCESS_REFUSED",
        lambda rig: rig.change_password("other"),
        lambda rig: rig.rabbitmq().add_user(USER, PASSWORD),
        ("ACCESS_REFUSED", "Login was refused"),
        broker="rabbitmq",
    ),
    Refusal(
        "no permissions",
        "ACCESS_REFUSED",
        lambda rig: rig.permit("^$"),
        lambda rig: rig.permit(".*"),
        ("ACCESS_REFUSED",),
        broker="rabbitmq",
    ),
    Refusal(
        "no memory for messages",
        "resource alarm",
        lambda rig: rig.rabbitmq().set_memory_limit(0.00001),
        lambda rig: rig.rabbitmq().set_memory_limit(0.4),
        ("blocked",),
        broker="rabbitmq",
    ),
    Refusal(
        "queues deleted",
        "NOT_FOUND, cancelled",
        lambda rig: [rig.rabbitmq().delete_queue(name) for name in queues(rig)],
        lambda rig: None,
        ("Cancel", "NOT_FOUND"),
        broker="rabbitmq",
    ),
)


def queues(rig: Refusing) -> list[str]:
    """Return the queues of the monitor in RabbitMQ."""
    return [name for name in rig.rabbitmq().queues() if name.startswith("monitor")]


@contextmanager
def refusing(
    refusal: Refusal, directory: Path, rabbit: Callable[[], RabbitServer]
) -> Iterator[tuple[Refusing, Monitor]]:
    """Start the servers of a refusal, and prepare a configuration of roles that use them."""
    rig = Refusing()
    url = rig.server.url if refusal.anonymous else rig.url()
    env = {"MONITOR_REDIS_URL": url, **refusal.env}
    if refusal.broker == "rabbitmq":
        rig.rabbit = rabbit()
        rig.rabbit.add_user(USER, PASSWORD)
        rig.rabbit.permit(USER)
        env["MONITOR_BROKER_URL"] = f"amqp://{USER}:{PASSWORD}@127.0.0.1:{rig.rabbit.port}//"
    monitor = Monitor(directory, rig.server, ROSTER, env)
    monitor.store.close()
    monitor.store = RedisStore(rig.url(ADMIN, ADMIN))
    try:
        yield rig, monitor
    finally:
        monitor.stop()
        if rig.rabbit is not None:
            for name in queues(rig):
                rig.rabbit.delete_queue(name)
            rig.rabbit.delete_user(USER)
            if refusal.answer == "resource alarm":
                rig.rabbit.set_memory_limit(0.4)
        rig.stop()


def is_named(refusal: Refusal, monitor: Monitor) -> bool:
    """Return whether a role's log names the reason."""
    return any(lines_naming(refusal, role.logs()) for role in monitor.roles)


def lines_naming(refusal: Refusal, log: str) -> list[str]:
    """Return the lines of a log that name the reason."""
    return [line for line in log.splitlines() if any(text in line for text in refusal.named)]


def seconds_until_it_works(refusal: Refusal, rig: Refusing, monitor: Monitor, *, limit: float) -> float:
    """Repair, and return the seconds from the start of the repair until a newer result is stored."""
    started, clock_at_start = time.monotonic(), time.time()
    refusal.repair(rig)
    monitor.wait_for_results("one", after=clock_at_start, seconds=limit)
    return time.monotonic() - started
