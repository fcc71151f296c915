"""What a worker does whose broker refuses something: it executes tasks, and says once what it goes without."""

from __future__ import annotations

import pytest

from tests.support.agents import AgentWorker
from tests.support.processes import wait_for
from tests.support.redis_server import RedisServer

NODE = "w1@host"
ORDERS = ("-Q", "orders")
REFUSED = "this worker gets no direct heartbeats"
ALL_POOLS = pytest.mark.parametrize(
    "pool", [("-c", "1"), ("-P", "solo"), ("-P", "threads"), ("-P", "gevent")], ids=lambda p: p[-1]
)


def executes(worker: AgentWorker, redis: RedisServer, name: str, queue: str = "orders") -> None:
    """The worker executes a task of the project."""
    worker.send("shop.done", (redis.url, name), queue)
    wait_for(lambda: redis.client().get(name), seconds=30, what=f"{name} is executed")


def refused_once(worker: AgentWorker) -> None:
    """The beacon says that the worker has no queue of its own, the log says so once, and nothing has failed."""
    worker.beacon(lambda beacon: not beacon.direct and beacon.up_seconds > 3, what="a beacon without the queue")
    logs = worker.logs()
    assert logs.count(REFUSED) == 1
    assert "Traceback" not in logs
