"""The agent in real workers of every pool, on the current Celery and on the oldest."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from monitor.agent import beacon_file
from monitor.agent.liveness import LEAVING
from monitor.agent.protocol import direct_queue
from tests.support.agents import AgentStore, StartAgentWorker
from tests.support.old_celery import VERSIONS
from tests.support.processes import wait_for
from tests.support.redis_server import StartRedis

POOLS = ["prefork", "threads", "gevent", "eventlet", "solo"]


@pytest.mark.parametrize("celery", VERSIONS)
@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_tells_of_itself_from_start_to_goodbye(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, pulses: Path, pool: str, celery: str
) -> None:
    """On each pool: beacon, direct and queue heartbeats, the task in a slot, the goodbye after SIGTERM, the pulse."""
    redis = start_redis()
    store = AgentStore(redis.client())
    slots = 1 if pool == "solo" else 2
    options = ("-P", pool, "-c", str(slots), "-Q", "orders")
    worker = start_agent_worker(store, *options, node="w1@host", broker=redis.url, celery=celery)

    beacon = worker.beacon(lambda beacon: beacon.up_seconds > 0.3 and "cpu" in beacon.vitals)
    assert (beacon.pool, beacon.slots, beacon.queues, beacon.direct) == (pool, slots, ("orders",), True)
    assert beacon.pid == worker.pid
    assert beacon.interval_seconds == 1.0
    assert beacon.client_id in {int(client["id"]) for client in redis.client().client_list()}
    assert beacon.loop_lag_seconds is not None and beacon.loop_lag_seconds < 5
    assert beacon.rss_mb is not None and beacon.rss_mb > 10
    assert (beacon.active_count, beacon.leaving, beacon.connected) == (0, False, True)

    sent = worker.heartbeat()
    found = worker.wait_for_execution(sent)
    assert found[0] == sent <= found[1]
    assert found[2] == "w1@host"
    worker.wait_for_execution(worker.heartbeat("queue", "orders"), "queue", "orders")

    worker.send("shop.nap", (1.5,), "orders")
    active = worker.beacon(lambda beacon: beacon.active_count == 1, what="a task in a slot").active
    assert [task.task for task in active] == ["shop.nap"]
    done = worker.beacon(lambda beacon: beacon.active_count == 0, what="no task").done
    assert done == 1
    worker.prove()
    assert direct_queue("w1@host") not in str(redis.client().smembers("_kombu.binding.celery"))

    worker.kill("SIGTERM")
    assert store.beacon("w1@host").leaving  # type: ignore[union-attr]
    assert beacon_file.read(str(pulses)) == []  # its process has ended


@pytest.mark.parametrize(
    ("number", "pool", "celery"),
    [
        (signal.SIGINT, "prefork", "current"),
        (signal.SIGQUIT, "prefork", "5.4"),
        (signal.SIGQUIT, "solo", "current"),
        (signal.SIGINT, "gevent", "5.4"),
        (signal.SIGQUIT, "gevent", "current"),
        (signal.SIGTERM, "solo", "5.4"),
    ],
)
def test_goodbye_on_other_signals(
    start_redis: StartRedis,
    start_agent_worker: StartAgentWorker,
    pulses: Path,
    number: signal.Signals,
    pool: str,
    celery: str,
) -> None:
    """SIGINT and SIGQUIT are goodbyes too, also with a task in the slot, and nothing comes after it."""
    redis = start_redis()
    store = AgentStore(redis.client())
    worker = start_agent_worker(store, "-P", pool, "-c", "1", node="w1@host", broker=redis.url, celery=celery)
    worker.beacon(lambda beacon: beacon.direct)
    worker.send("shop.nap", (4,))
    worker.beacon(lambda beacon: beacon.active_count == 1, what="a task in a slot")
    worker.kill(number.name)
    assert worker.beacon(lambda beacon: beacon.leaving, what="a goodbye")
    wait_for(lambda: all(s.pulse.phase == LEAVING for s in beacon_file.read(str(pulses))), what="the pulse leaves")
    worker.wait()
    assert store.beacon("w1@host").leaving  # type: ignore[union-attr]
