"""Executed heartbeats on their way from the pool's result to the beacon's thread."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from celery.concurrency.solo import TaskPool
from celery.worker import state
from celery.worker.request import create_request_cls
from kombu.message import Message
from kombu.utils.imports import symbol_by_name

from monitor.agent import heartbeat, heartbeat_recorder
from monitor.agent.heartbeat_recorder import HeartbeatRecorder
from monitor.agent.protocol import HEARTBEAT


@pytest.fixture
def run() -> Iterator[Callable[..., None]]:
    """Executes a heartbeat of ``w@h`` in a pool, as Celery's worker does."""
    with Celery("shop", broker="memory://", set_as_current=False) as app:
        heartbeat.record_executions()
        heartbeat.register(app)
        app.finalize()
        app.set_current()
        task = app.tasks[HEARTBEAT]
        pool: Any = TaskPool(app=app, initargs=(app, "w@h"))
        made = create_request_cls(symbol_by_name(task.Request), task, pool, "w@h", None, app=app)

        def execute(*arguments: Any) -> None:
            headers = {"task": HEARTBEAT, "id": uuid.uuid4().hex, "ignore_result": True}
            body = (arguments, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None})
            message: Any = Message(body=body, headers=headers, content_type="application/json")
            request = made(message, app=app, hostname="w@h", task=task, body=body, headers=headers, decoded=True)
            state.task_reserved(request)
            request.execute_using_pool(pool)
            assert request.id not in state.requests, "the worker has heard of its result"

        yield execute
    heartbeat_recorder._recorders.pop("w@h", None)


def test_what_the_pool_has_executed_is_recorded_once(run: Callable[..., None]) -> None:
    """By target, the newest one of each, until it is taken; and the listener is woken."""
    woken: list[int] = []
    executions = HeartbeatRecorder("w@h", lambda: woken.append(1))
    heartbeat_recorder.register("w@h", executions)
    for arguments in [("worker", "w@h", 7), ("worker", "w@h", 5), ("queue", "mail", 3)]:
        run(*arguments)
    assert executions.take() == {"worker:w@h": 7, "queue:mail": 3}
    assert (executions.take(), executions.count, len(woken)) == ({}, 3, 3)
    assert executions.newest_us == 7


@pytest.mark.parametrize("arguments", [(), ("worker", "w@h"), ("worker", "w@h", "soon"), (1, 2, 3, 4)])
def test_a_heartbeat_of_another_shape_harms_nothing(run: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Whatever its arguments are, the worker executes it and goes on."""
    executions = HeartbeatRecorder("w@h", lambda: None)
    heartbeat_recorder.register("w@h", executions)
    run(*arguments)
    assert executions.newest_us is None


def test_a_worker_without_a_beacon_records_nothing(run: Callable[..., None]) -> None:
    """A worker whose agent is switched off executes heartbeats like any other task."""
    run("queue", "mail", 3)
