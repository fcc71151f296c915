"""The Python face: the endpoints' documents, from the same snapshot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import monitor
from monitor.api.service import Service, build
from monitor.config import Config
from monitor.ports.store import StoreUnavailable
from monitor.store.memory.store import MemoryStore
from tests.support.builders.values import check, config, record

NUMBERS = {
    "celery": {"pending_tasks": 10},
    "cpu": {"percent": 25.5, "count": 4},
    "memory": {"percent": 60.2, "available_mb": 2048, "total_mb": 8192},
    "disk": {"percent": 45.8, "free_mb": 50000, "total_mb": 100000},
    "connections": {"active_connections": 42},
}


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    for name in ("database", "redis", *NUMBERS):
        record(store, name, data=NUMBERS.get(name, {}))
    return store


@pytest.fixture
def service(store: MemoryStore) -> Iterator[Service]:
    checks = [check("database"), check("redis"), *(check(name, groups=()) for name in NUMBERS)]
    service = build(config(*checks), connect=lambda: store)
    yield service
    service.refresher.stop()


def test_responses_have_the_shapes_of_the_bodies(service: Service) -> None:
    """Documents, with the contract's words and checks."""
    checker = monitor.HealthChecker(service)
    assert checker.get_liveness_response().keys() == {"status", "timestamp"}
    ready = checker.get_readiness_response()
    assert (ready["status"], list(ready["checks"])) == ("ready", ["database", "redis"])
    detailed = checker.get_detailed_response()
    assert (detailed["status"], list(detailed["checks"])) == ("healthy", ["database", "redis", *NUMBERS])


def test_every_check_has_its_numbers(service: Service) -> None:
    """Each method says what detailed says of that check."""
    checker = monitor.HealthChecker(service)
    said = {
        "celery": checker.check_celery(),
        "cpu": checker.get_cpu_metrics(),
        "memory": checker.get_memory_metrics(),
        "disk": checker.get_disk_metrics(),
        "connections": checker.get_connections_metrics(),
    }
    for name, numbers in NUMBERS.items():
        assert said[name]["status"] == "ok"
        assert {key: said[name][key] for key in numbers} == numbers
    assert checker.check_database()["response_time_ms"] == 2
    assert checker.check_liveness()["status"] == "alive"


def test_each_call_reads_what_is_there_now(service: Service, store: MemoryStore) -> None:
    """Where no thread refreshes, in a management command for one."""
    checker = monitor.HealthChecker(service)
    assert checker.check_redis()["status"] == "ok"
    record(store, "redis", "error", reason="refused")
    assert checker.check_redis()["status"] == "error"
    assert checker.get_readiness_response()["status"] == "not_ready"


def test_a_store_that_does_not_answer_raises_nothing() -> None:
    """It is what the answer says."""

    def refuse() -> MemoryStore:
        raise StoreUnavailable("refused")

    service = build(config(check("database"), check("redis")), connect=refuse)
    checker = monitor.HealthChecker(service)
    assert checker.check_redis() == {"status": "error", "response_time_ms": 0, "reason": "unreachable"}
    assert checker.check_database()["status"] == "unknown"
    assert checker.get_detailed_response()["status"] == "unhealthy"


def test_a_check_is_found_by_its_kind_and_may_be_missing() -> None:
    """`orders-db` is the database where no check is called `database`."""
    store = MemoryStore()
    record(store, "orders-db")
    service = build(config(check("orders-db", kind="database")), connect=lambda: store)
    assert monitor.HealthChecker(service).check_database()["status"] == "ok"
    nothing = monitor.HealthChecker(build(Config(), connect=MemoryStore)).check_database()
    assert (nothing["status"], nothing["reason"]) == ("unknown", "not_configured")
