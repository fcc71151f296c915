"""Real workers of users' applications with the agent in them, and readers of what it writes to the store."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection, Exchange, Producer

from monitor.agent.protocol import HEARTBEAT, Beacon, Keys, decode, direct_queue
from tests.support.celery_nodes import ROOT, HostProcess
from tests.support.old_celery import python_with_celery
from tests.support.processes import wait_for
from tests.support.roles import FailureText

APP = "shop"
SOURCE = ROOT / "tests/support/user_app.py"


def user_directory(package: Path = ROOT / "monitor") -> Path:
    """Create the project of a user: `shop.py`, and the package as pip installs it, without our other files.

    Celery's default application would load our `celeryconfig.py`.
    """
    directory = Path(tempfile.mkdtemp(prefix="shop-"))
    (directory / "monitor").symlink_to(package)
    (directory / f"{APP}.py").symlink_to(SOURCE)
    (directory / "own_pool.py").symlink_to(SOURCE.with_name("own_pool.py"))
    (directory / "celeryconfig.py").touch()
    return directory


class AgentStore:
    """Reader of the keys that agents write, with a separate client."""

    def __init__(self, client: redis.Redis, prefix: str = "monitor:") -> None:
        self._client = client
        self.keys = Keys.of(prefix)

    def now_us(self) -> int:
        """Return the store's clock in microseconds."""
        seconds, microseconds = self._client.time()
        return int(seconds) * 10**6 + int(microseconds)

    def beacon(self, node: str) -> Beacon | None:
        """Return the newest beacon of a worker."""
        value = self._client.hget(self.keys.beacons, node)
        return decode(value.split(b"|", 1)[1]) if value else None

    def written_us(self, node: str) -> int:
        """Return the time at which the newest beacon of a worker was written; 0 without one."""
        return int((self._client.hget(self.keys.beacons, node) or b"0").split(b"|", 1)[0])

    def executed(self, field: str) -> tuple[int, int, str] | None:
        """Return sent, done and node of the newest executed heartbeat of ``worker:TARGET`` or ``queue:QUEUE``."""
        value = self._client.hget(self.keys.heartbeats, field)
        if value is None:
            return None
        sent, done, node, _ = value.decode().split("|")
        return int(sent), int(done), node

    def executed_by(self, field: str) -> str:
        """Return the instance that executed the newest heartbeat of ``worker:TARGET`` or ``queue:QUEUE``."""
        return (self._client.hget(self.keys.heartbeats, field) or b"").decode().rpartition("|")[2]

    def note_emitted(self, field: str, sent: int) -> None:
        """Record a sent heartbeat, as the monitor does."""
        self._client.hset(self.keys.emitted, field, sent)


class AgentWorker(HostProcess):
    """Worker of `user_app`, with methods that send heartbeats to it."""

    def __init__(
        self,
        store: AgentStore,
        *options: str,
        node: str,
        broker: str,
        celery: str = "current",
        transport_options: Mapping[str, Any] | None = None,
        tls: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        sent_to: str | None = None,
        package: Path = ROOT / "monitor",
    ) -> None:
        """Start the worker. ``sent_to`` is the broker's URL for messages of the test, if the worker's differs.

        ``package`` is the directory of the package from which the agent is taken.
        """
        self.node = node
        self.store = store
        self.variables = dict(env or {})
        self._sent_to, self._transport_options, self._tls = sent_to or broker, dict(transport_options or {}), tls
        directory = user_directory(package)
        argv = [python_with_celery(celery), "-m", "celery", "-A", APP, "worker", "-l", "INFO", "-n", node]
        argv += ["--without-mingle", "--without-gossip", *options]
        environment = {
            "TEST_BROKER": broker,
            "TEST_TRANSPORT_OPTIONS": repr(self._transport_options),
            "TEST_USE_SSL": repr(tls and dict(tls)),
            "TEST_INSTALL": "install",
            "MONITOR_WORKERS__INTERVAL": "1",
            "PYTHONPATH": str(directory),
        }
        super().__init__(argv, {**environment, **(env or {})}, directory)

    def beacon(self, condition: Callable[[Beacon], Any] = lambda _: True, *, what: str = "a beacon") -> Beacon:
        """Return its beacon, once one fulfils the condition."""

        def fitting() -> Beacon | None:
            exited, beacon = self.status == "exited", self.store.beacon(self.node)
            if exited and not (beacon is not None and condition(beacon)):
                pytest.fail(f"the worker exited with status {self.exit_code}: no {what}, but {beacon}\n{self.logs()}")
            return beacon if beacon is not None and condition(beacon) else None

        return wait_for(fitting, seconds=30, what=FailureText(self, f"{what} of {self.node}, but {self._last()}"))

    @property
    def target(self) -> str:
        """Return the target of heartbeats in its newest beacon."""
        return self.beacon().target

    def heartbeat(self, kind: str = "worker", target: str | None = None, *, sent: int | None = None) -> int:
        """Send it a heartbeat, as the monitor does, and return the send time in microseconds by the store's clock."""
        target = target or self.target
        queue = direct_queue(target) if kind == "worker" else target
        sent = sent or self.store.now_us()
        self.send(HEARTBEAT, (kind, target, sent), queue)
        return sent

    def send(
        self,
        task: str,
        args: tuple[Any, ...],
        queue: str = "celery",
        *,
        times: int = 1,
        eta_seconds: float | None = None,
    ) -> None:
        """Publish a task to the default exchange in Celery's task protocol 2."""
        eta = None if eta_seconds is None else (datetime.now(UTC) + timedelta(seconds=eta_seconds)).isoformat()
        options: dict[str, Any] = {"transport_options": self._transport_options, "ssl": self._tls}
        with Connection(self._sent_to, **options) as connection, connection.channel() as channel:
            producer = Producer(channel, exchange=Exchange(""))
            for _ in range(times):
                task_id = f"{time.monotonic_ns():x}"
                headers = {"lang": "py", "task": task, "id": task_id, "root_id": task_id, "ignore_result": True}
                producer.publish(
                    (args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}),
                    routing_key=queue,
                    headers={**headers, "parent_id": None, "group": None, "eta": eta},
                    correlation_id=task_id,
                    serializer="json",
                )

    def wait_for_execution(self, sent: int, kind: str = "worker", target: str | None = None) -> tuple[int, int, str]:
        """Return sent, done and node of a heartbeat, once one that was sent at ``sent`` or later is executed."""
        field = f"{kind}:{target or self.target}"

        def executed() -> tuple[int, int, str] | None:
            found = self.store.executed(field)
            return found if found is not None and found[0] >= sent else None

        return wait_for(executed, seconds=30, what=FailureText(self, f"a heartbeat of {field} executed"))

    def prove(self) -> None:
        """Send it a direct heartbeat, and wait until it is executed."""
        self.wait_for_execution(self.heartbeat())

    def teardown(self) -> None:
        """Kill it and its child processes. A second call has no effect."""
        super().teardown()
        shutil.rmtree(self._cwd, ignore_errors=True)

    def _last(self) -> Beacon | None:
        return self.store.beacon(self.node)


StartAgentWorker = Callable[..., AgentWorker]


@pytest.fixture
def start_agent_worker() -> Iterator[StartAgentWorker]:
    """Provide `start_agent_worker(store, *options, node=..., broker=...)`, which starts a worker for one test."""
    workers: list[AgentWorker] = []

    def start(*arguments: Any, **options: Any) -> AgentWorker:
        workers.append(AgentWorker(*arguments, **options))
        return workers[-1]

    yield start
    for worker in workers:
        worker.teardown()
