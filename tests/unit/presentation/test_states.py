"""The document about workers and queues, which the endpoint and the command share."""

from __future__ import annotations

import json
import time
from typing import Any

from monitor.model.checks import State
from monitor.presentation.states import workers_document
from tests.support.builders import NOW
from tests.support.builders.values import state

WORKER = {
    "verdict": "consuming",
    "queues": ["celery", "mail"],
    "latency_ms": 3.2,
    "slots": 4,
    "active": 1,
    "oldest_task_seconds": 12.5,
    "reserved": 2,
    "loop_lag_seconds": 0.1,
    "pool": "prefork",
}


def document(*states: State) -> dict[str, Any]:
    return workers_document({each.check: each for each in states}, NOW)


def worker(name: str = "celery@web-1", status: str = "ok", **fields: Any) -> State:
    detail = {"host": "web-1", "versions": {"celery": "5.7.0"}}
    return state(f"worker:{name}", status, **{"data": WORKER, "detail": detail, **fields})


def test_before_anything_was_judged() -> None:
    """Nobody is there, and that is not known for certain."""
    assert document() == {
        "status": "unknown",
        "reason": "not_observed",
        "suspended": False,
        "workers": [],
        "queues": [],
        "timestamp": "2025-12-27T12:00:00Z",
    }


def test_a_worker_and_a_queue() -> None:
    """All that the contract names, whether it is known or not."""
    queue = state("queue:celery", "error", reason="unconsumed", data={"pending_tasks": 7, "verdict": "unconsumed"})
    said = document(worker(), queue, state("workers", "error", reason="unconsumed"))
    assert (said["status"], said["reason"]) == ("error", "unconsumed")
    seen = {"reason": None, "since": "2025-12-27T11:59:59.000Z", "observed_at": "2025-12-27T11:59:59.000Z"}
    assert said["workers"] == [
        {"name": "celery@web-1", "check": "worker:celery@web-1", "status": "ok", **seen, **WORKER}
        | {"host": "web-1", "versions": {"celery": "5.7.0"}}
    ]
    assert said["queues"] == [
        {"name": "celery", "check": "queue:celery", "verdict": "unconsumed", "status": "error", **seen}
        | {"reason": "unconsumed", "latency_ms": None, "pending_tasks": 7, "workers": None}
    ]


def test_a_verdict_that_is_out_of_date() -> None:
    """Is the last one there was, and says so."""
    (said,) = document(worker(reason="consuming", age=31))["workers"]
    assert (said["verdict"], said["status"], said["reason"], said["stale"]) == ("consuming", "stale", "stale", True)


def test_the_verdict_is_the_reason_where_no_number_says_it() -> None:
    """A worker of which nothing is known but that it is gone."""
    (said,) = document(worker(status="error", data={}, detail={}, reason="lost"))["workers"]
    assert (said["verdict"], said["slots"], said["host"]) == ("lost", None, None)


def test_the_name_is_the_workers_own() -> None:
    """Which may hold what a check's name cannot."""
    (said,) = document(worker("celery@web_1", data={"name": "celery@web 1"}))["workers"]
    assert (said["name"], said["check"]) == ("celery@web 1", "worker:celery@web_1")


def test_suspended_judgement_is_said() -> None:
    """As the summary has it."""
    assert document(state("workers", data={"suspended": True}))["suspended"] is True


def test_a_thousand_workers_take_less_than_a_tenth_of_a_second() -> None:
    """Of CPU, encoded."""
    many = [worker(f"celery@web-{number}") for number in range(1000)]
    many += [state(f"queue:{number}", data={"verdict": "consumed"}) for number in range(50)]
    began = time.thread_time()
    text = json.dumps(document(*many))
    assert time.thread_time() - began < 0.1
    assert text.count('"worker:') == 1000
