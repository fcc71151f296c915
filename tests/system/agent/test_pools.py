"""The agent in real workers of every pool, on the current Celery and on the oldest. All of them start at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from monitor.agent import beacon_file
from monitor.agent.liveness import LEAVING
from tests.support.agents import AgentStore, AgentWorker
from tests.support.old_celery import VERSIONS
from tests.support.processes import wait_for
from tests.support.redis_server import RedisServer

POOLS = [(pool, celery) for pool in ("prefork", "threads", "gevent", "eventlet", "solo") for celery in VERSIONS]
GOODBYES = [
    ("SIGINT", "prefork", "current"),
    ("SIGQUIT", "prefork", "5.4"),
    ("SIGQUIT", "solo", "current"),
    ("SIGINT", "gevent", "5.4"),
    ("SIGQUIT", "gevent", "current"),
    ("SIGTERM", "solo", "5.4"),
    ("SIGTERM", "threads", "current"),
]

Fleet = dict[tuple[str, ...], AgentWorker]


@pytest.fixture(scope="module")
def fleet(shared_redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A worker of each pool and version, and one for each goodbye, by their names."""
    server: RedisServer = shared_redis("redis-server")
    prefix = "test-pools:"
    store = AgentStore(server.client(), prefix)
    workers: Fleet = {}
    env = {"MONITOR_KEY_PREFIX": prefix, beacon_file.VARIABLE: str(tmp_path_factory.mktemp("fleet"))}
    for *purpose, pool, celery in [*POOLS, *GOODBYES]:
        key = (*purpose, pool, celery)
        name = "-".join(key)
        workers[key] = AgentWorker(
            store,
            *("-P", pool, "-c", "1" if purpose or pool == "solo" else "2", "-Q", name),
            node=f"{name}@host",
            broker=server.url,
            celery=celery,
            env=env,
        )
    yield workers
    for worker in workers.values():
        worker.teardown()


@pytest.mark.parametrize(("pool", "celery"), POOLS)
def test_a_worker_tells_of_itself_from_start_to_goodbye(
    fleet: Fleet, redis_server: RedisServer, pool: str, celery: str
) -> None:
    """On each pool: beacon, direct and queue heartbeats, the task in a slot, the goodbye after SIGTERM."""
    worker = fleet[pool, celery]
    queue, node = worker.node.removesuffix("@host"), worker.node

    beacon = worker.beacon(lambda beacon: beacon.up_seconds > 0.3 and "cpu" in beacon.vitals)
    assert (beacon.pool, beacon.slots, beacon.queues, beacon.direct) == (
        pool,
        1 if pool == "solo" else 2,
        (queue,),
        True,
    )
    assert beacon.pid == worker.pid
    assert beacon.interval_seconds == 1.0
    assert beacon.client_id in {int(client["id"]) for client in redis_server.client().client_list()}
    assert beacon.loop_lag_seconds is not None and beacon.loop_lag_seconds < 5
    assert beacon.rss_mb is not None and beacon.rss_mb > 10
    assert (beacon.active_count, beacon.leaving, beacon.connected) == (0, False, True)
    assert beacon.versions["celery"].startswith("5.4" if celery == "5.4" else "5.")

    sent = worker.heartbeat()
    found = worker.wait_for_execution(sent)
    assert found[0] == sent <= found[1]
    assert found[2] == node
    worker.wait_for_execution(worker.heartbeat("queue", queue), "queue", queue)
    by = [worker.store.executed_by(field) for field in (f"worker:{beacon.target}", f"queue:{queue}")]
    assert by == [beacon.instance] * 2
    assert beacon.direct_queue == f"monitor.worker.{node}.{beacon.instance}"

    worker.send("shop.nap", (1.5,), queue)
    active = worker.beacon(lambda beacon: beacon.active_count == 1, what="a task in a slot").active
    assert [task.task for task in active] == ["shop.nap"]
    assert worker.beacon(lambda beacon: beacon.active_count == 0, what="no task").done == 1
    worker.prove()
    exchanges = redis_server.client().scan_iter(match="_kombu.binding.*", count=1000)
    tables = [key for key in exchanges if redis_server.client().type(key) == b"set"]
    assert beacon.direct_queue not in str([redis_server.client().smembers(table) for table in tables])

    assert "shop.nap" in worker.logs().partition("ready.")[2]
    assert "monitor" not in worker.logs().partition("ready.")[2]  # not a line for each heartbeat

    worker.kill("SIGTERM")
    assert worker.store.beacon(node).leaving  # type: ignore[union-attr]


@pytest.mark.parametrize(("number", "pool", "celery"), GOODBYES)
def test_goodbye_with_a_task_in_the_slot(fleet: Fleet, number: str, pool: str, celery: str) -> None:
    """SIGTERM, SIGINT and SIGQUIT are goodbyes, said at once, and nothing comes after it."""
    worker = fleet[number, pool, celery]
    worker.beacon(lambda beacon: beacon.direct)
    worker.send("shop.nap", (2,), worker.node.removesuffix("@host"))
    worker.beacon(lambda beacon: beacon.active_count == 1, what="a task in a slot")
    os.kill(worker.pid, signal.Signals[number])
    assert worker.beacon(lambda beacon: beacon.leaving, what="a goodbye")
    directory = worker.variables[beacon_file.VARIABLE]
    wait_for(
        lambda: all(s.sample.phase == LEAVING for s in beacon_file.read(directory) if s.node == worker.node),
        what="the pulse says so, too",
    )
    worker.wait()
    assert worker.store.beacon(worker.node).leaving  # type: ignore[union-attr]
