"""One Redis, the monitor's roles over it, workers of the user beside them, and a trickle of the user's tasks."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from celery import Celery

from soak import EXECUTED
from soak.nodes import PYTHON, Node
from soak.watch import Watcher
from tests.support.faults import FaultProxy
from tests.support.processes import wait_for
from tests.support.redis_server import RedisServer, find_binary
from tests.support.roles import Monitor

TRANSPORT_OPTIONS = {"socket_timeout": 2, "socket_connect_timeout": 2}


class Stage:
    """Everything that runs while faults are played; `with Stage(...)` ends what it has started."""

    def __init__(
        self, interval: float, *, queues: Sequence[str] = (), python: Path = PYTHON, own_broker: bool = False
    ) -> None:
        """``interval`` is the time between heartbeats in seconds, ``queues`` those that the monitor is told of,
        ``python`` the interpreter of the user's workers. With ``own_broker`` the broker is another Redis than the
        store."""
        self.interval, self.python = interval, python
        self.directory = Path(tempfile.mkdtemp(prefix="soak-"))
        binary = find_binary("redis-server") or find_binary("valkey-server")
        # Its data is kept over a restart, as that of most brokers is.
        self.redis = RedisServer("--appendonly", "yes", binary=binary or "redis-server")
        self.broker = self.redis
        if own_broker:
            self.broker = RedisServer("--appendonly", "yes", binary=binary or "redis-server")
        self.nodes: dict[str, Node] = {}
        self._proxies: list[FaultProxy] = []
        self._fed: list[str] = []
        self._stop = threading.Event()
        env = {"MONITOR_BROKER_URL": self.broker.url}
        self.monitor = Monitor(self.directory, self.redis, self._configuration(queues), env)
        self.watcher = Watcher(self.redis.url)

    def __enter__(self) -> Stage:
        self.monitor.worker()
        self.monitor.beat()
        self.watcher.__enter__()
        self._feeder = threading.Thread(target=self._feed, name="feeder", daemon=True)
        self._feeder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._feeder.join()
        self.watcher.__exit__()
        for node in self.nodes.values():
            # libfaketime leaves shared memory behind when it is killed.
            with contextlib.suppress(ProcessLookupError):
                node.kill(signal.SIGCONT)
            if node.wants_goodbye and node.status == "running":
                node.kill("SIGTERM")
            node.teardown()
        self.monitor.stop()
        for proxy in self._proxies:
            proxy.close()
        for server in {self.redis, self.broker}:
            server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def now(self) -> float:
        """The store's clock."""
        return self.monitor.store.states.now()

    def start_node(
        self,
        name: str,
        *,
        pool: str,
        slots: int,
        queues: Sequence[str],
        proxied: bool = False,
        env: dict[str, str] | None = None,
        key: str | None = None,
    ) -> Node:
        """Start a worker of the user; its connections to broker and store run through a proxy when ``proxied``.

        ``key`` tells it from another one of the same name.
        """
        proxy = FaultProxy("127.0.0.1", self.redis.port) if proxied else None
        urls = {"CELERY_BROKER_URL": self.broker.url}
        if proxy:
            self._proxies.append(proxy)
            urls = dict.fromkeys(("CELERY_BROKER_URL", "MONITOR_REDIS_URL"), f"redis://127.0.0.1:{proxy.port}/0")
        node = Node(
            name,
            pool=pool,
            slots=slots,
            queues=queues,
            python=self.python,
            proxy=proxy,
            env={**self.monitor.env, **urls, **(env or {})},
        )
        self.nodes[key or name] = node
        return node

    def feed(self, *queues: str) -> None:
        """From now on each of these queues gets a task every half interval, or every second."""
        self._fed += queues

    def send(self, task: str, *arguments: object, queue: str, times: int = 1) -> None:
        """Send a task of the user."""
        with self._app() as app, app.producer_or_acquire() as producer:
            for _ in range(times):
                app.send_task(f"shop.{task}", arguments, queue=queue, producer=producer, ignore_result=True)

    def control(self, command: str, node: Node, **arguments: object) -> None:
        """Tell a worker something by Celery's remote control."""
        with self._app() as app:
            app.control.broadcast(command, arguments=arguments, destination=[node.node])

    def purge(self, queue: str) -> None:
        """Drop what waits in a queue."""
        with self.broker.client() as client:
            client.delete(queue)

    def executed_since(self, at: float, *, node: str | None = None, queue: str | None = None) -> float | None:
        """When (store's clock) a user's task was first executed after ``at``, by a node or from a queue; or None."""
        with self.redis.client(decode_responses=True) as client:
            for entry, fields in client.xrange(EXECUTED, min=f"{int(at * 1000) + 1}"):
                if node in (None, fields["node"]) and queue in (None, fields["queue"]):
                    return int(entry.split("-")[0]) / 1000
        return None

    def wait_for_verdicts(self, wanted: Iterable[tuple[str, str]], *, seconds: float) -> None:
        """Wait until each check has its verdict. Fails with what is missing, and with what the roles have logged."""
        wanted = list(wanted)

        def missing() -> list[str]:
            return [f"{c}: {self.watcher.verdict(c)}, not {v}" for c, v in wanted if self.watcher.verdict(c) != v]

        class What:
            def __str__(_) -> str:
                return f"{missing()}\n{self.monitor.logs()}"

        wait_for(lambda: not missing(), seconds=seconds, every=0.1, what=What())

    def _configuration(self, queues: Sequence[str]) -> str:
        interval = self.interval
        # A task of the user may take long, unless it is one of those that never end.
        return f"""
[workers]
interval = {interval}
queues = {json.dumps([*queues])}
slow_after = {12 * interval}
return_within = {RETURN_WITHIN * interval}
may_rest = ["{RESTING}*"]
[workers.stuck_after_by_task]
"shop.deadlock" = {STUCK_AFTER * interval}
"shop.held" = {STUCK_AFTER * interval}
"""

    def _app(self) -> Celery:
        app = Celery("soak", broker=self.broker.url, set_as_current=False)
        app.conf.broker_transport_options = TRANSPORT_OPTIONS
        return app

    def _feed(self) -> None:
        app = self._app()
        while not self._stop.wait(min(1.0, self.interval / 2)):
            try:
                with app.producer_or_acquire() as producer:
                    for queue in list(self._fed):
                        app.send_task("shop.noop", queue=queue, producer=producer, ignore_result=True, retry=False)
            except Exception:  # noqa: BLE001 - whatever became of the broker, go on when it is back
                app.close()
                app = self._app()
                time.sleep(0.2)
        app.close()


RETURN_WITHIN = 6.0
"""So many intervals after the goodbye of its last worker a queue is unconsumed."""

RESTING = "scaled."
"""What the names of queues begin with that may be without a worker."""

STUCK_AFTER = 4.0
"""After so many intervals `shop.deadlock` and `shop.held` are stuck."""
