"""Rounds over workers that have written odd names and numbers: the others are judged all the same."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
import redis

from monitor.agent.protocol import Beacon, Keys, encode
from monitor.config.settings import WorkerSettings
from monitor.model.checks import Status
from monitor.services.watch_workers import run_round
from monitor.store.redis.store import RedisStore
from tests.support.builders.values import becoming
from tests.support.builders.workers import World
from tests.support.redis_server import RedisServer


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A plain client."""
    with redis_server.client() as client:
        yield client


def test_a_name_of_300_characters(redis_server: RedisServer, client: redis.Redis, key_prefix: str) -> None:
    """As a node, a queue, a host, in the round state and as a state: one round judges all others."""
    store = RedisStore(redis_server.url, prefix=key_prefix)
    fleet, keys = store.workers, Keys.of(key_prefix)
    now, long = round(store.states.now() * 1e6), "x" * 300
    for node, fields in {
        "w@h": {},
        long: {},
        "q@h": {"queues": (long, "celery")},
        "o@h": {"host": long},
        "n@h": {"vitals": {"cpu": {"percent": 10**400}}},
    }.items():
        values = {"host": "h", "queues": ("celery",), **fields}
        beacon = Beacon(node, pid=1, pool="prefork", slots=2, interval_seconds=10.0, up_seconds=1.0, **values)  # type: ignore[arg-type]
        client.hset(keys.beacons, node, f"{now}|{encode(beacon)}")
    round_state = {"round_at": 1.0, "written": [f"worker:{long}", "worker:w@h"], "queues": {long: [1, 1, None, None]}}
    client.set(f"{key_prefix}fleet", json.dumps(round_state))
    state = {"s": "ok", "a": 1e308}
    client.hset(f"{key_prefix}states", f"worker:{long}", json.dumps(state))
    world = World()
    made = run_round(WorkerSettings(), store=store.states, registry=fleet, broker=world)
    assert made.event == "completed"
    assert {"worker:w@h", "worker:q@h", "workers", "queue:celery"} <= set(store.states.read().states)
    assert not [name for name in store.states.read().states if "xxx" in name]
    counted = store.rejected_counts()
    assert counted["beacon"] == 3
    assert counted["round_state"] >= 1
    store.close()


def test_a_worker_s_state_without_a_verdict(redis_server: RedisServer, key_prefix: str) -> None:
    """While verdicts are suspended its last result is kept; the summary counts it all the same."""
    store = RedisStore(redis_server.url, prefix=key_prefix)
    fleet, keys = store.workers, Keys.of(key_prefix)
    flight = store.states.take("worker:w@h", uuid.uuid4().hex, lease_seconds=5)
    store.states.update(flight, becoming(flight))
    with redis_server.client() as client:
        beacon = Beacon("w@h", "h", 1, "prefork", 2, 10.0, 100.0)
        client.hset(keys.beacons, "w@h", f"{round(store.states.now() * 1e6)}|{encode(beacon)}")
    made = run_round(WorkerSettings(), store=store.states, registry=fleet, broker=World())
    assert made.suspended
    assert made.outcomes["workers"].status is Status.OK
    store.close()
