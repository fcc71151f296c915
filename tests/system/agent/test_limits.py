"""What keeps a healthy worker from executing at once: limits, clocks, slow links, stalled slots, dear processes."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from monitor.agent import beacon_file
from monitor.agent.capacity import is_costly, is_full, is_holding_back
from monitor.agent.liveness import LivenessSample, judge
from monitor.agent.protocol import HEARTBEAT, Beacon
from monitor.tasks.broker import CeleryBroker
from tests.support.agents import AgentStore, AgentWorker, StartAgentWorker
from tests.support.faults import FaultProxy, Freezer
from tests.support.old_celery import VERSIONS
from tests.support.processes import missing, wait_for
from tests.support.redis_server import RedisServer, StartRedis
from tests.support.roles import FailureText

OWN_POOL = {"CELERY_CUSTOM_WORKER_POOL": "own_pool:AsyncIOPool"}


@pytest.fixture
def redis(start_redis: StartRedis) -> RedisServer:
    """Store and broker of a test's workers."""
    return start_redis()


@pytest.fixture
def store(redis: RedisServer) -> AgentStore:
    """What the workers have written."""
    return AgentStore(redis.client())


def pulse(worker: AgentWorker, condition: Callable[[LivenessSample], object]) -> LivenessSample:
    """The worker's pulse, once there is one that fits."""

    def fitting() -> LivenessSample | None:
        directory = worker.variables.get(beacon_file.VARIABLE) or os.environ[beacon_file.VARIABLE]
        found = [sighting.sample for sighting in beacon_file.read(directory) if sighting.node == worker.node]
        return next((each for each in found if condition(each)), None)

    return wait_for(fitting, seconds=30, what=FailureText(worker, f"a pulse of {worker.node}"))


def long_unanswered(found: LivenessSample) -> LivenessSample:
    """The same, when heartbeats have waited for hours."""
    found.up_seconds = found.unanswered_seconds = found.idle_seconds = 9999.0
    return found


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent", "solo"])
def test_a_prefetch_full_of_tasks_that_may_not_begin(
    redis: RedisServer, store: AgentStore, start_agent_worker: StartAgentWorker, pool: str
) -> None:
    """The beacon counts what waits for its rate limit. On Redis no heartbeat is taken then, which is no fault.

    What waits for its time to come (ETA) is counted, too, and leaves room.
    """
    count = "1" if pool == "solo" else "2"
    workers = [
        start_agent_worker(
            store, "-P", pool, "-c", count, "-Q", f"q{celery}", node=f"{celery}@h", broker=redis.url, celery=celery
        )
        for celery in VERSIONS
    ]
    for worker in workers:
        queue = worker.beacon(lambda beacon: beacon.direct).queues[0]
        worker.send("shop.nap", (0,), queue, eta_seconds=3600)
        later = worker.beacon(lambda beacon: beacon.held_back == 1, what="a task for later")
        assert (later.reserved, later.prefetch_full, is_holding_back(later)) == (1, False, False)
        worker.prove()
        worker.send("shop.limited", (), queue, times=20)
    for worker in workers:
        full = worker.beacon(is_holding_back, what="a full prefetch")
        assert full.reserved == full.held_back > 2
        assert not is_full(full)
        worker.heartbeat()
        alive, why = judge(long_unanswered(pulse(worker, lambda pulse: pulse.holding_back)), 0.0)
        assert alive, why


@pytest.mark.parametrize("celery", VERSIONS)
def test_a_slot_that_stands_still_is_counted_and_the_others_execute(
    redis: RedisServer, store: AgentStore, start_agent_worker: StartAgentWorker, freezer: Freezer, celery: str
) -> None:
    """A stopped process of a prefork pool, whatever it holds. Continued, it is no more counted."""
    worker = start_agent_worker(store, "-c", "2", "-Q", "orders", node="w1@h", broker=redis.url, celery=celery)
    worker.beacon(lambda beacon: beacon.direct)
    worker.prove()
    child = psutil.Process(worker.pid).children()[0].pid
    freezer.freeze(child)
    newest = []

    def counted(beacon: Beacon) -> bool:
        newest.append(worker.heartbeat())
        return beacon.stalled == 1

    half = worker.beacon(counted, what="a stalled slot")
    assert (half.active_count, half.slots) == (0, 2)
    worker.wait_for_execution(newest[-1])
    worker.send("shop.nap", (60,), "orders")
    taken = worker.beacon(lambda beacon: beacon.active_count == 1, what="the other slot taken")
    assert is_full(taken)
    freezer.thaw(child)
    worker.beacon(lambda beacon: beacon.stalled == 0, what="no stalled slot")
    worker.prove()


def test_one_task_per_process_needs_no_connections(
    redis: RedisServer, store: AgentStore, start_agent_worker: StartAgentWorker
) -> None:
    """A server that accepts no more clients (`maxclients`): heartbeats are recorded all the same."""
    workers = [
        start_agent_worker(
            store,
            *("-c", "1", "--max-tasks-per-child", "1", "-Q", f"q{celery}"),
            node=f"{celery}@h",
            broker=redis.url,
            celery=celery,
        )
        for celery in VERSIONS
    ]
    for worker in workers:
        assert is_costly(worker.beacon(lambda beacon: beacon.direct))
        worker.prove()
    client, rounds = redis.client(), 3
    for worker in workers:
        for _ in range(rounds):
            worker.send(HEARTBEAT, ("queue", worker.node, store.now_us()), f"parked-{worker.node}")
    client.config_set("maxclients", len(client.client_list()))
    for number in range(1, rounds + 1):
        for celery, worker in zip(VERSIONS, workers, strict=True):
            client.rpoplpush(f"parked-{worker.node}", f"q{celery}")
        for worker in workers:
            worker.beacon(lambda beacon, number=number: beacon.heartbeats == 1 + number)  # type: ignore[misc]
    assert None not in [store.executed(f"queue:{worker.node}") for worker in workers]
    client.config_set("maxclients", 1000)  # for the test's own clients


def test_a_slow_link_is_no_broken_one(
    redis: RedisServer,
    store: AgentStore,
    start_agent_worker: StartAgentWorker,
    fault_proxy: Callable[[str, int], FaultProxy],
) -> None:
    """A round trip of 1 s, and one of 3 s, as of packets that are sent again: one connection, and all as ever."""
    slow, late = fault_proxy("127.0.0.1", redis.port), fault_proxy("127.0.0.1", redis.port)
    workers = {
        interval: start_agent_worker(
            store,
            *("-P", "threads", "-c", "1", "-Q", f"q{interval}"),
            node=f"w{interval}@h",
            broker=f"redis://127.0.0.1:{proxy.port}/0",
            env={"MONITOR_WORKERS__INTERVAL": interval},
            sent_to=redis.url,
        )
        for interval, proxy in (("2", slow), ("8", late))
    }
    first = {interval: worker.beacon(lambda beacon: beacon.direct) for interval, worker in workers.items()}
    slow.set("latency", seconds=0.5)
    late.set("latency", seconds=1.5)
    for interval, worker in workers.items():
        later = first[interval].up_seconds + 2 * int(interval)
        found = worker.beacon(lambda beacon, later=later: beacon.up_seconds > later, what="later beacons")  # type: ignore[misc]
        assert found.client_id == first[interval].client_id
        worker.prove()


def _faketime() -> str:
    found = next((str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
    return found if found and shutil.which("faketime") else missing("faketime")


def test_a_clock_that_is_ahead_executes_the_monitors_heartbeats(
    redis: RedisServer, store: AgentStore, start_agent_worker: StartAgentWorker
) -> None:
    """They do not expire by the clock of a worker: an hour ahead, it executes those of its queue, too."""
    from celery import Celery

    env = {"LD_PRELOAD": _faketime(), "FAKETIME": "+1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    worker = start_agent_worker(store, "-P", "threads", "-Q", "orders", node="w1@h", broker=redis.url, env=env)
    worker.beacon(lambda beacon: beacon.direct)
    sent = store.now_us()
    with Celery(broker=redis.url, set_as_current=False) as app:
        broker = CeleryBroker(app)
        broker.snapshot(["orders"], heads=())  # it sends nothing when a worker has joined since
        broker.send([("orders", ("queue", "orders", sent), "application/json")])
    worker.wait_for_execution(sent, "queue", "orders")
    worker.kill("SIGTERM")  # libfaketime leaves shared memory behind when it is killed


@pytest.mark.parametrize("step", ["+1h", "-1h"])
def test_ages_of_tasks_do_not_jump_with_the_clock(
    redis: RedisServer, store: AgentStore, start_agent_worker: StartAgentWorker, tmp_path: Path, step: str
) -> None:
    """The clock is set by an hour: a task that has been running for seconds has been running for seconds."""
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    env = {"LD_PRELOAD": _faketime(), "FAKETIME_TIMESTAMP_FILE": str(offset)}
    env |= {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    worker = start_agent_worker(
        store, "-P", "threads", "-c", "2", "-Q", "orders", node="w1@h", broker=redis.url, env=env
    )
    worker.beacon(lambda beacon: beacon.direct)
    worker.send("shop.hold", (6,), "orders")
    before = worker.beacon(lambda beacon: beacon.active_count == 1, what="a task").up_seconds
    offset.write_text(f"{step}\n")
    after = worker.beacon(lambda beacon: beacon.up_seconds > before + 3, what="the clock is set")
    assert [2 < task.age_seconds < 60 for task in after.active] == [True]
    worker.kill("SIGTERM")


@pytest.mark.parametrize("celery", VERSIONS)
def test_a_pool_of_its_own(
    redis: RedisServer, store: AgentStore, start_agent_worker: StartAgentWorker, celery: str
) -> None:
    """Heartbeats are executed and recorded; a long task, in which its loop stands still, is no reason to restart it."""
    worker = start_agent_worker(
        store,
        *("-P", "custom", "-c", "8", "-Q", "orders"),
        node="w1@h",
        broker=redis.url,
        celery=celery,
        env=OWN_POOL,
    )
    assert worker.beacon(lambda beacon: beacon.direct).pool == "AsyncIOPool"
    worker.prove()
    worker.send("shop.nap", (60,), "orders")
    assert is_full(worker.beacon(lambda beacon: beacon.active_count == 1, what="a task"))
    found = long_unanswered(pulse(worker, lambda pulse: pulse.active == 1))
    found.loop_lag_seconds = 9999.0
    alive, why = judge(found, 0.0)
    assert (alive, "busy" in why) == (True, True), why
    os.kill(worker.pid, signal.SIGKILL)
