"""Checks that come and go at run time: workers, queues, hosts, the monitor's own state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.api.pages import ProbeResponse
from monitor.api.service import Service, build
from monitor.api.targets import Target
from monitor.store.memory.store import MemoryStore
from tests.support.builders.values import check, config, record

NODE = "worker:celery@web-1"
VITALS = {"cpu": {"status": "warning", "reason": "above_threshold", "percent": 97.0, "count": 2}}


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    for name in ("database", "celery", "cpu"):
        record(store, name, data={"percent": 5.0, "count": 4} if name == "cpu" else {})
    return store


@pytest.fixture
def service(store: MemoryStore) -> Iterator[Service]:
    checks = [check("database"), check("celery"), check("cpu", critical=False, groups=())]
    service = build(config(*checks, token="hushhushhushhush"), connect=lambda: store)
    yield service
    service.refresher.stop()


def ask(service: Service, what: str, name: str = "", **request: Any) -> ProbeResponse:
    """An answer that knows of what was recorded last, and was not kept."""
    service.refresher.read_once()
    service.probes._pages.clear()
    return service.probes.answer(Target(what, name), **request)


def body(service: Service, what: str, name: str = "", **request: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ask(service, what, name, **request).body)
    return document


def test_a_worker_is_a_check_like_any_other(service: Service, store: MemoryStore) -> None:
    """As long as it has a state: 404 before it came and after it went."""
    assert ask(service, "checks", NODE).status == 404
    record(store, NODE, "error", reason="lost", data={"verdict": "lost", "name": "x"}, message="gone from 10.1.2.3")
    answer = ask(service, "checks", NODE)
    said = json.loads(answer.body)
    assert (answer.status, said["name"], said["status"], said["verdict"]) == (503, NODE, "error", "lost")
    assert "message" not in said
    assert body(service, "checks", NODE, authorization="Bearer hushhushhushhush")["message"] == "gone from 10.1.2.3"
    health = body(service, "checks", NODE, accept="application/health+json")
    assert (health["status"], list(health["checks"])) == ("fail", ["worker%3Acelery@web-1:responseTime"])
    store.states.forget([NODE])
    assert ask(service, "checks", NODE).status == 404


def test_a_worker_that_is_not_heard_of_any_more_is_stale(service: Service, store: MemoryStore) -> None:
    """By its `valid_until`."""
    record(store, NODE, valid_seconds=-1.0)
    assert body(service, "checks", NODE)["status"] == "stale"


def test_a_state_that_stands_in_no_roster_and_has_no_such_name(service: Service, store: MemoryStore) -> None:
    """A check that was taken off the roster is not there any more."""
    record(store, "old-database")
    assert ask(service, "checks", "old-database").status == 404


def test_nothing_is_kept_of_what_comes_and_goes(service: Service, store: MemoryStore) -> None:
    """A thousand workers of a deployment's past, and as many that never were, leave nothing behind."""
    for number in range(200):
        name = f"worker:celery@{number}"
        record(store, name)
    service.refresher.read_once()
    for number in range(400):
        for request in ({}, {"authorization": "Bearer hushhushhushhush"}, {"accept": "application/health+json"}):
            answer = service.probes.answer(Target("checks", f"worker:celery@{number}"), **request)
            assert answer.status == (200 if number < 200 else 404)
            assert service.probes.public_page(Target("checks", f"worker:celery@{number}")) is None
    assert len(service.probes._pages) + len(service.renderer._cache) == 0


def test_the_monitors_own_state_is_shown_in_detailed(service: Service, store: MemoryStore) -> None:
    """It degrades, and never fails; workers, queues and hosts are not listed there."""
    for name in (NODE, "queue:celery", "host:web-1", "workers"):
        record(store, name)
    record(store, "monitor:beat", "error", reason="late")
    said = body(service, "detailed")
    assert list(said["checks"]) == ["database", "celery", "cpu", "monitor:beat"]
    assert (said["status"], said["checks"]["monitor:beat"]["reason"]) == ("degraded", "late")
    assert list(body(service, "ready")["checks"]) == ["database", "celery"]


def test_a_queue_that_nobody_consumes_fails_readiness(service: Service, store: MemoryStore) -> None:
    """Through the broker's check; in every dialect."""
    record(store, "workers", "error", reason="unconsumed", data={"queues": {"unconsumed": 1}, "workers": {"lost": 2}})
    answer = ask(service, "ready")
    said = json.loads(answer.body)["checks"]["celery"]
    assert answer.status == 503
    assert (said["status"], said["reason"]) == ("error", "unconsumed")
    assert (said["workers"], said["queue_verdicts"]) == ({"lost": 2}, {"unconsumed": 1})
    assert ask(service, "readyz").status == 500
    assert body(service, "ready", accept="application/health+json")["status"] == "fail"


def test_where_workers_are_not_watched_what_was_said_of_them_counts_no_more(store: MemoryStore) -> None:
    """Their last states may be there for a long time."""
    record(store, "workers", "error", reason="unconsumed")
    service = build(config(check("celery"), workers={"enabled": False}), connect=lambda: store)
    assert ask(service, "ready").status == 200
    service.refresher.stop()


def test_the_worst_host_and_all_hosts(service: Service, store: MemoryStore) -> None:
    """Everybody sees the worst numbers, the authorised see whose they are."""
    record(store, "host:web-1", "warning", data=VITALS, detail={"host": "web 1"})
    said = body(service, "detailed")
    assert (said["checks"]["cpu"]["status"], said["checks"]["cpu"]["percent"]) == ("warning", 97)
    assert "web" not in json.dumps(said)
    full = body(service, "detailed", authorization="Bearer hushhushhushhush")
    assert full["checks"]["cpu"]["detail"] == {"host": "web 1"}
    assert full["hosts"]["web 1"]["cpu"] == VITALS["cpu"]


def test_workers_and_queues(service: Service, store: MemoryStore) -> None:
    """For the authorised alone, in one document."""
    record(store, NODE, data={"name": "celery@web-1", "verdict": "consuming", "slots": 4})
    record(store, "queue:celery", data={"name": "celery", "verdict": "consumed", "pending_tasks": 3})
    record(store, "workers")
    said = body(service, "workers", authorization="Bearer hushhushhushhush")
    assert [(entry["name"], entry["verdict"], entry["slots"]) for entry in said["workers"]] == [
        ("celery@web-1", "consuming", 4)
    ]
    assert [(entry["name"], entry["pending_tasks"]) for entry in said["queues"]] == [("celery", 3)]
    assert (said["status"], said["suspended"]) == ("ok", False)
