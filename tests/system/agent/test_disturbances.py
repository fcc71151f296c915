"""What goes wrong around the agent: it goes on, and the worker does not notice."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable

import pytest

from monitor.agent.protocol import HEARTBEAT, Beacon
from tests.support.agents import AgentStore, StartAgentWorker
from tests.support.faults import FaultProxy, Freezer
from tests.support.processes import wait_for
from tests.support.redis_server import StartRedis

SOLO = ("-P", "solo", "-Q", "orders")


def test_a_broker_that_restarts(start_redis: StartRedis, start_agent_worker: StartAgentWorker) -> None:
    """After a broker restart the loop is seen to tick, and the direct queue is consumed again."""
    broker, redis = start_redis(), start_redis()
    store = AgentStore(redis.client())
    workers = [
        start_agent_worker(
            store,
            *("-P", pool, "-c", "1", "-Q", "orders"),
            node=f"{pool}-{celery}@host",
            broker=broker.url,
            celery=celery,
            env={"MONITOR_REDIS_URL": redis.url},
        )
        for pool, celery in [("prefork", "current"), ("prefork", "5.4"), ("gevent", "5.4"), ("solo", "current")]
    ]
    for worker in workers:
        worker.beacon(lambda beacon: beacon.direct)
        worker.prove()
    broker.kill()
    before = {}
    for worker in workers:
        away = worker.beacon(lambda beacon: not beacon.connected, what="a lost connection")
        assert away.loop_lag_seconds is None
        assert (away.queues, away.direct) == (("orders",), True)
        before[worker.node] = away.instance
    broker.start()
    for worker in workers:
        worker.beacon(lambda beacon: beacon.connected and beacon.restarts > 0, what="a new connection")
        worker.prove()
    later = {worker.node: worker.beacon().up_seconds + 2.5 for worker in workers}
    for worker in workers:
        back = worker.beacon(lambda beacon: beacon.up_seconds > later[beacon.node], what="2.5 s more")
        assert back.loop_lag_seconds is not None and back.loop_lag_seconds < 2
        assert back.instance == before[worker.node]


@pytest.mark.parametrize("fault", ["frozen", "from the start"])
def test_a_store_that_is_away(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, freezer: Freezer, fault: str
) -> None:
    """Without the store the worker starts and works as ever; the log has a line on it, and one when it is back."""
    broker, redis = start_redis(), start_redis()
    store = AgentStore(redis.client(socket_timeout=20))
    env = {"MONITOR_REDIS_URL": redis.url}
    if fault == "from the start":
        redis.kill()
    worker = start_agent_worker(store, "-c", "1", "-Q", "orders", node="w1@host", broker=broker.url, env=env)
    # Without a beacon the name of the worker's own queue is not known: its heartbeats then come by the shared one.
    queue = "orders" if fault == "from the start" else worker.beacon(lambda beacon: beacon.direct).direct_queue
    if fault == "frozen":
        freezer.freeze(redis.pid)
    wait_for(lambda: "does not accept the beacon" in worker.logs(), seconds=30, what="a line on the store")
    worker.send("shop.modules", ("done", []), "orders")
    wait_for(lambda: broker.client().get("done"), seconds=20, what="the user's task was executed")
    for _ in range(3):
        worker.send(HEARTBEAT, ("worker", "w1@host", int(time.time() * 10**6)), queue)
    worker.send("shop.modules", ("done-2", []), "orders")
    wait_for(lambda: broker.client().get("done-2"), seconds=20, what="a task behind three heartbeats was executed")
    if fault == "frozen":
        freezer.thaw(redis.pid)
    else:
        redis.start()
    wait_for(lambda: "accepts the beacon again" in worker.logs(), seconds=30, what="a line on the store's return")
    worker.prove()
    assert worker.logs().count("does not accept the beacon") == 1
    assert "Traceback" not in worker.logs()


def test_goodbye_without_a_store(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, freezer: Freezer
) -> None:
    """A store that does not answer holds up the end of a worker by half a second, not more."""
    broker, redis = start_redis(), start_redis()
    env = {"MONITOR_REDIS_URL": redis.url}
    store = AgentStore(redis.client(socket_timeout=20))
    worker = start_agent_worker(store, *SOLO, node="w1@host", broker=broker.url, env=env)
    worker.beacon(lambda beacon: beacon.direct)
    freezer.freeze(redis.pid)
    started = time.monotonic()
    worker.kill("SIGTERM")
    assert time.monotonic() - started < 10
    assert worker.exit_code == 0


def test_nothing_comes_after_the_goodbye(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, freezer: Freezer
) -> None:
    """What was sent to a frozen store before the goodbye does not undo it, in whatever order the store takes it."""
    broker, redis = start_redis(), start_redis()
    env = {"MONITOR_REDIS_URL": redis.url}
    store = AgentStore(redis.client(socket_timeout=20))
    worker = start_agent_worker(store, "-c", "1", "-Q", "orders", node="w1@host", broker=broker.url, env=env)
    worker.beacon(lambda beacon: beacon.direct)
    worker.send("shop.nap", (4,), "orders")
    worker.beacon(lambda beacon: beacon.active_count == 1, what="a task in the slot")
    freezer.freeze(redis.pid)
    wait_for(lambda: "does not accept the beacon" in worker.logs(), seconds=30, what="a line on the store")
    os.kill(worker.pid, signal.SIGTERM)
    freezer.thaw(redis.pid)
    worker.beacon(lambda beacon: beacon.leaving, what="a goodbye")
    worker.wait()
    assert store.beacon("w1@host").leaving  # type: ignore[union-attr]


def test_a_new_worker_of_the_same_name_is_heard(start_redis: StartRedis, start_agent_worker: StartAgentWorker) -> None:
    """The goodbye was that of one start of the worker; the next start under its name is another one."""
    redis = start_redis()
    store = AgentStore(redis.client())
    first = start_agent_worker(store, *SOLO, node="w1@host", broker=redis.url)
    first.beacon(lambda beacon: beacon.direct)
    first.kill("SIGTERM")
    gone = first.store.beacon("w1@host")
    assert gone is not None and gone.leaving
    second = start_agent_worker(store, *SOLO, node="w1@host", broker=redis.url)
    assert second.beacon(lambda beacon: not beacon.leaving, what="a new beacon").instance != gone.instance


def test_cancel_consumer_shows(start_redis: StartRedis, start_agent_worker: StartAgentWorker) -> None:
    """A queue that the worker was told to leave is gone from its beacon, and one that it was told to take is there."""
    from celery import Celery

    redis = start_redis()
    worker = start_agent_worker(
        AgentStore(redis.client()), "-P", "threads", "-c", "3", "-Q", "orders,mails", node="w1@host", broker=redis.url
    )
    assert worker.beacon(lambda beacon: beacon.direct).queues == ("mails", "orders")
    control = Celery("control", broker=redis.url, set_as_current=False).control

    def until(command: Callable[[], object], condition: Callable[[Beacon], bool], what: str) -> None:
        def told() -> bool:
            command()  # again and again: a broadcast is lost on who does not listen yet
            beacon = worker.store.beacon("w1@host")
            return beacon is not None and condition(beacon)

        wait_for(told, seconds=30, every=0.3, what=what)

    until(lambda: control.cancel_consumer("mails"), lambda beacon: beacon.queues == ("orders",), "a queue less")
    until(lambda: control.add_consumer("letters"), lambda beacon: "letters" in beacon.queues, "a queue more")


def test_what_waits_for_a_slot(start_redis: StartRedis, start_agent_worker: StartAgentWorker) -> None:
    """Tasks in slots, the oldest first, and tasks in reserve; heartbeats take no slot in this account."""
    redis = start_redis()
    worker = start_agent_worker(AgentStore(redis.client()), "-c", "2", "-Q", "orders", node="w1@host", broker=redis.url)
    worker.beacon(lambda beacon: beacon.direct)
    for _ in range(5):
        worker.send("shop.nap", (60,), "orders")
    worker.beacon(lambda beacon: beacon.active_count == 2, what="2 active")
    worker.heartbeat()  # not before: it would be executed at once
    beacon = worker.beacon(lambda beacon: beacon.active_count == 2 and beacon.reserved == 4, what="2 active, 4 waiting")
    assert [task.task for task in beacon.active] == ["shop.nap", "shop.nap"]
    older = worker.beacon(lambda beacon: beacon.active and beacon.active[0].age_seconds > 2, what="older tasks")
    assert older.active[0].age_seconds >= older.active[1].age_seconds
    assert older.done == 0


def test_an_autoscaled_pool(start_redis: StartRedis, start_agent_worker: StartAgentWorker) -> None:
    """Slots are those of the moment."""
    redis = start_redis()
    options = ("--autoscale", "3,1", "-Q", "orders")
    worker = start_agent_worker(AgentStore(redis.client()), *options, node="w1@host", broker=redis.url)
    assert worker.beacon(lambda beacon: beacon.direct).slots == 1
    for _ in range(6):
        worker.send("shop.nap", (30,), "orders")
    worker.beacon(lambda beacon: beacon.slots == 3, what="three slots")


def test_a_stopped_worker_keeps_its_connection(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, freezer: Freezer
) -> None:
    """SIGSTOP: no beacon, but the connection it named is there; SIGKILL: neither."""
    redis = start_redis()
    store = AgentStore(redis.client())
    worker = start_agent_worker(store, *SOLO, node="w1@host", broker=redis.url)
    client_id = worker.beacon(lambda beacon: beacon.client_id is not None).client_id

    def is_connected() -> bool:
        return client_id in {int(client["id"]) for client in redis.client().client_list()}

    freezer.freeze(worker.pid)
    seen = store.written_us("w1@host")
    time.sleep(1.5)  # longer than the interval between two beacons
    assert store.written_us("w1@host") == seen
    assert is_connected()
    worker.kill("SIGKILL")
    wait_for(lambda: not is_connected(), what="the connection is gone")
    assert not store.beacon("w1@host").leaving  # type: ignore[union-attr]


def test_a_half_open_connection_of_the_beacon(
    start_redis: StartRedis,
    start_agent_worker: StartAgentWorker,
    fault_proxy: Callable[[str, int], FaultProxy],
) -> None:
    """Packets vanish without FIN or RST: the beacon is back by a new connection, and says which."""
    broker, redis = start_redis(), start_redis()
    proxy = fault_proxy("127.0.0.1", redis.port)
    env = {"MONITOR_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}
    worker = start_agent_worker(AgentStore(redis.client()), *SOLO, node="w1@host", broker=broker.url, env=env)
    before = worker.beacon(lambda beacon: beacon.client_id is not None).client_id
    worker.prove()
    proxy.abandon()
    after = worker.beacon(lambda beacon: beacon.client_id not in {None, before}, what="a new connection").client_id
    assert after in {int(client["id"]) for client in redis.client().client_list()}
    worker.prove()


def test_old_heartbeats_do_not_count_back(start_redis: StartRedis, start_agent_worker: StartAgentWorker) -> None:
    """The newest heartbeat that was executed stays, whatever is redelivered later."""
    redis = start_redis()
    store = AgentStore(redis.client())
    worker = start_agent_worker(store, *SOLO, node="w1@host", broker=redis.url)
    worker.beacon(lambda beacon: beacon.direct)
    newest = store.now_us()
    for sent in (newest, newest - 10**6):
        worker.send(HEARTBEAT, ("worker", "w1@host", sent), "orders")
    worker.beacon(lambda beacon: beacon.heartbeats == 2, what="both were executed")
    found = store.executed(f"worker:{worker.target}")
    assert found is not None and found[0] == newest


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
def test_many_heartbeats_open_no_more_connections(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, pool: str
) -> None:
    """That of the beacon and no other, however many heartbeats, and however many at once."""
    broker, redis = start_redis(), start_redis()
    env = {"MONITOR_REDIS_URL": redis.url}
    store = AgentStore(redis.client())
    worker = start_agent_worker(
        store, "-P", pool, "-c", "2", "-Q", "orders", node="w1@host", broker=broker.url, env=env
    )
    worker.beacon(lambda beacon: beacon.direct)
    worker.send(HEARTBEAT, ("worker", "w1@host", 1), "orders", times=600)
    worker.prove()
    named = Counter(client["name"] for client in redis.client().client_list())
    assert named[f"monitor-agent:{worker.target}"] == 1
    assert named[""] <= 2  # the test's own
