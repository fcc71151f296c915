"""Probes over a real Redis that freezes, dies, comes back empty, or disappears behind a network that swallows bytes.

A fault is in force while the probes are asked, so an answer that waited for Redis would not be there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from monitor.api.service import Service, build
from monitor.api.targets import Target
from monitor.store.redis.store import RedisStore
from tests.support.builders.values import check, config, record
from tests.support.faults import FaultProxy
from tests.support.processes import wait_for
from tests.support.redis_server import RedisServer, StartRedis

CHECKS = (check("database"), check("redis"))


@pytest.fixture
def server(start_redis: StartRedis) -> RedisServer:
    return start_redis()


@pytest.fixture
def proxy(server: RedisServer, fault_proxy: Callable[[str, int], FaultProxy]) -> FaultProxy:
    return fault_proxy("127.0.0.1", server.port)


@pytest.fixture
def service(server: RedisServer, proxy: FaultProxy) -> Iterator[Service]:
    """Reads through the proxy what was written directly: two checks that are ok."""
    observe(server)
    service = build(config(*CHECKS, redis_url=f"redis://127.0.0.1:{proxy.port}/0"))
    service.refresher.start()
    wait_for(lambda: statuses(service) == {"database": "ok", "redis": "ok"}, what="two checks that are ok")
    yield service
    service.refresher.stop()


def observe(server: RedisServer) -> None:
    store = RedisStore(server.url)
    for name in ("database", "redis"):
        record(store, name)
    store.close()


def statuses(service: Service) -> dict[str, Any]:
    said = json.loads(service.probes.answer(Target("ready")).body)
    return {name: found["status"] for name, found in said["checks"].items()}


FAULTS: dict[str, tuple[Callable[[RedisServer, FaultProxy], object], Callable[[RedisServer, FaultProxy], object]]] = {
    "frozen": (lambda server, _: server.freeze(), lambda server, _: server.thaw()),
    "black hole": (lambda _, proxy: proxy.set("blackhole"), lambda _, proxy: proxy.set("ok", cut=True)),
    "slow drip": (lambda _, proxy: proxy.set("slow", bytes_per_second=5), lambda _, proxy: proxy.set("ok", cut=True)),
    "reset": (lambda _, proxy: proxy.set("reset", cut=True), lambda _, proxy: proxy.set("ok")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_redis_turns_error_at_once_and_others_keep_their_word(
    service: Service, server: RedisServer, proxy: FaultProxy, fault: str
) -> None:
    """The reader knows first-hand; what else was read is good until it expires. Liveness does not care."""
    begin, end = FAULTS[fault]
    begin(server, proxy)
    wait_for(lambda: statuses(service) == {"database": "ok", "redis": "error"}, what="redis in error")
    assert service.probes.answer(Target("ready")).status == 503
    assert service.probes.answer(Target("live")).status == 200
    end(server, proxy)
    wait_for(lambda: statuses(service) == {"database": "ok", "redis": "ok"}, what="the recovery")


def test_killed_and_back_empty(service: Service, server: RedisServer) -> None:
    """Dead: redis is in error. Empty: nothing is known. Observed again: ok, over the same refresher."""
    server.kill()
    wait_for(lambda: statuses(service) == {"database": "ok", "redis": "error"}, what="redis in error")
    server.start()
    wait_for(lambda: statuses(service) == {"database": "unknown", "redis": "unknown"}, what="nothing known")
    observe(server)
    wait_for(lambda: statuses(service) == {"database": "ok", "redis": "ok"}, what="both observed again")


def test_results_expire_while_redis_is_away(service: Service, server: RedisServer) -> None:
    """Nobody tells the reader; it knows what it read, and the time."""
    store = RedisStore(server.url)
    record(store, "database", valid_seconds=2.0)
    store.close()
    wait_for(
        lambda: service.refresher.snapshot().states["database"].result.valid_until < _now(service) + 2, what="read"
    )
    server.freeze()
    wait_for(lambda: statuses(service)["database"] == "stale", what="a stale database")
    server.thaw()


@pytest.mark.parametrize(
    "garbage", [b"\x80", b'{"s":"ok"', b"[]", b"x" * 10_000_000], ids=["bytes", "truncated", "list", "10 MB"]
)
def test_garbage_under_our_keys_is_unknown(service: Service, server: RedisServer, garbage: bytes) -> None:
    """And takes nothing else with it."""
    with server.client() as client:
        client.hset("monitor:states", "database", garbage)
    wait_for(lambda: statuses(service) == {"database": "unknown", "redis": "ok"}, what="an unknown database")


def test_keys_of_the_wrong_type_are_unknown(service: Service, server: RedisServer) -> None:
    """All of them at once."""
    with server.client() as client:
        for key in client.keys("monitor:*"):
            client.delete(key)
            client.set(key, "no hash")
    wait_for(lambda: statuses(service) == {"database": "unknown", "redis": "unknown"}, what="nothing known")


def _now(service: Service) -> float:
    return service.refresher.snapshot().now
