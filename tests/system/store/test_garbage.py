"""Somebody else writes under our keys. What cannot be understood is unknown, and the next run puts it right."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis
from celery import Celery

from tests.support.processes import missing
from tests.support.redis_server import RedisServer, find_binary
from tests.support.roles import Monitor, StartMonitor

STATES, META = "monitor:states", "monitor:meta"
ROSTER = """
[checks.sound]
kind = "python"
path = "tests.support.user_checks:nothing"
interval = "1h"
groups = ["ready"]
"""


def _wrong_type(client: redis.Redis) -> None:
    client.delete(STATES)
    client.set(STATES, "a string where a hash should be")


def _truncated(client: redis.Redis) -> None:
    raw = client.hget(STATES, "sound")
    assert raw is not None
    client.hset(STATES, "sound", raw[: len(raw) // 2])


def _ten_megabytes(client: redis.Redis) -> None:
    client.hset(STATES, "sound", b"x" * 10_000_000)


def _from_the_future(client: redis.Redis) -> None:
    raw = client.hget(STATES, "sound")
    assert raw is not None
    state = json.loads(raw)
    state["r"]["o"] += 3600
    state["r"]["u"] += 3600
    client.hset(STATES, "sound", json.dumps(state))


def _every_key_of_the_wrong_type(client: redis.Redis) -> None:
    for key in client.keys("monitor:*"):
        client.delete(key)
        client.lpush(key, "rubbish") if key == STATES.encode() else client.set(key, "rubbish")
    client.set("monitor:flight:sound", "rubbish")


GARBAGE = {
    "wrong type": _wrong_type,
    "truncated JSON": _truncated,
    "10 MB": _ten_megabytes,
    "future timestamps": _from_the_future,
    "every key of the wrong type": _every_key_of_the_wrong_type,
}


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitor]:
    """Worker and web; the test sends the runs itself, so that nothing is healed before it was seen."""
    redis = RedisServer(binary=find_binary("redis-server") or missing("redis-server"))
    monitor = Monitor(tmp_path_factory.mktemp("garbage"), redis, ROSTER)
    monitor.worker()
    monitor.web()
    yield monitor
    monitor.stop()
    redis.stop()


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_unknown_until_the_next_run(garbage: str, monitor: Monitor) -> None:
    """A web process that reads garbage stays up and says `unknown`; one run of the check puts it right."""
    _run_check(monitor)
    monitor.wait_for_ready(200)
    with monitor.redis.client() as client:
        GARBAGE[garbage](client)
        # Without the change log, a running process reads everything anew.
        client.delete(META)
    assert monitor.wait_for_ready(503)["checks"]["sound"]["status"] == "unknown"
    assert monitor.get("live")[0] == 200
    assert monitor.get("detailed")[0] == 200
    _run_check(monitor)
    assert monitor.wait_for_ready(200)["checks"]["sound"]["status"] == "ok"


@pytest.mark.parametrize("garbage", ["10 MB", "every key of the wrong type"])
def test_a_web_process_that_starts_on_garbage(garbage: str, monitor: Monitor, start_monitor: StartMonitor) -> None:
    """It starts, answers, says `unknown`, and learns of the next run."""
    _run_check(monitor)
    monitor.wait_for_ready(200)
    with monitor.redis.client() as client:
        GARBAGE[garbage](client)
    late = start_monitor(ROSTER, redis=monitor.redis)
    late.web()
    assert late.wait_for_ready(503)["checks"]["sound"]["status"] == "unknown"
    assert late.get("live")[0] == 200
    _run_check(monitor)
    late.wait_for_ready(200)


def _run_check(monitor: Monitor) -> None:
    """Have the check run once, and wait until its result is stored."""
    sent_at = monitor.store.states.now()
    with Celery(broker=monitor.redis.url, set_as_current=False) as app:
        app.send_task("monitor.tasks.run_check", ("sound",), queue="monitor", ignore_result=True)
    monitor.wait_for_results("sound", after=sent_at)
