"""Whatever the application accepts, sets and handles: the worker runs, and executes heartbeats."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.agents import AgentStore, StartAgentWorker
from tests.support.old_celery import VERSIONS
from tests.support.processes import wait_for
from tests.support.redis_server import StartRedis
from tests.system.agent.refused import NODE, ORDERS


@pytest.mark.parametrize("celery", VERSIONS)
@pytest.mark.parametrize("accept", ["msgpack", "yaml", "pickle", "auth"])
def test_an_application_that_does_not_accept_json(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, celery: str, accept: str
) -> None:
    """Its own heartbeats are executed, and the beacon says in which forms those of queues may come."""
    redis = start_redis()
    conf = {"accept_content": [accept], "task_serializer": accept}
    if accept == "auth":
        conf = {"accept_content": ["application/data"]}
    env = {"TEST_CONF": repr(conf), "C_FORCE_ROOT": "1"}
    worker = start_agent_worker(
        AgentStore(redis.client()), "-c", "1", *ORDERS, node=NODE, broker=redis.url, celery=celery, env=env
    )
    accepted = worker.beacon(lambda beacon: beacon.direct).accept
    assert "application/json" not in accepted and len(accepted) == 1
    worker.prove()
    assert "Traceback" not in worker.logs()
    assert "refusing" not in worker.logs().lower()


def test_remote_control_cannot_take_the_queue_away(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker
) -> None:
    """`cancel_consumer` with the agent's own queue changes nothing: heartbeats are executed."""
    from celery import Celery

    redis = start_redis()
    worker = start_agent_worker(AgentStore(redis.client()), "-P", "threads", *ORDERS, node=NODE, broker=redis.url)
    worker.beacon(lambda beacon: beacon.direct)
    worker.prove()
    control = Celery("control", broker=redis.url, set_as_current=False).control
    own = worker.beacon().direct_queue

    def cancelled() -> bool:
        control.cancel_consumer(own)
        return f"Canceling queue {own}" in worker.logs()

    wait_for(cancelled, seconds=30, every=0.3, what="the worker was told")
    worker.prove()
    assert worker.beacon().direct


SETTINGS = {
    "missing queues are not made": "{'task_queues': {'orders': {}}, 'task_create_missing_queues': False}",
    "tasks are executed where they are sent": "{'task_always_eager': True, 'task_eager_propagates': True}",
    "no remote control": "{'worker_enable_remote_control': False}",
    "no limit of prefetching": "{'worker_prefetch_multiplier': 0}",
    "protocol 1": "{'task_protocol': 1}",
    "late acknowledgements": "{'task_reject_on_worker_lost': True, 'worker_prefetch_multiplier': 1}",
    "annotations of all tasks": "{'task_annotations': {'*': {'acks_late': True, 'ignore_result': False}}}",
    "a router that fails": "{'task_routes': (lambda *_, **__: 1 / 0,)}",
    "priorities": "{'task_queue_max_priority': 10, 'task_default_priority': 5}",
    "a result backend that is away": "{'result_backend': 'redis://127.0.0.1:1/0', 'task_ignore_result': False}",
    "rate limits of all tasks": "{'task_default_rate_limit': '1/d'}",
    "compressed": "{'task_compression': 'gzip', 'result_compression': 'gzip'}",
    "limits of time": "{'task_time_limit': 60, 'task_soft_time_limit': 50}",
}


@pytest.mark.parametrize("conf", SETTINGS.values(), ids=SETTINGS)
def test_settings_of_the_application(start_redis: StartRedis, start_agent_worker: StartAgentWorker, conf: str) -> None:
    """None of them keeps a heartbeat from being executed, nor ends the worker, nor leaves an error in its log."""
    redis = start_redis()
    env = {"TEST_CONF": conf}
    worker = start_agent_worker(AgentStore(redis.client()), "-c", "1", *ORDERS, node=NODE, broker=redis.url, env=env)
    worker.beacon(lambda beacon: beacon.direct)
    worker.prove()
    worker.prove()
    worker.kill("SIGTERM")
    assert worker.exit_code == 0
    assert "Traceback" not in worker.logs()


def test_handlers_of_signals_that_fail(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, tmp_path: Path
) -> None:
    """A project's own handlers are called for heartbeats, and may raise whatever they like."""
    (tmp_path / "handlers.py").write_text(
        "from celery import signals\n"
        "def fail(**_): raise ValueError('of the project')\n"
        "for name in ('task_received', 'task_prerun', 'task_postrun', 'task_success'):\n"
        "    getattr(signals, name).connect(fail, weak=False)\n"
    )
    redis = start_redis()
    env = {"TEST_PATH": str(tmp_path), "TEST_CONF": "{'include': ['handlers']}"}
    worker = start_agent_worker(AgentStore(redis.client()), "-c", "1", *ORDERS, node=NODE, broker=redis.url, env=env)
    worker.beacon(lambda beacon: beacon.direct)
    worker.prove()
    worker.prove()
    assert "of the project" in worker.logs()
