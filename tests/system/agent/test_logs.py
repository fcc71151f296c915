"""The log of a project's worker: no line about the monitor's tasks, whatever the project's log settings are."""

from __future__ import annotations

import re

import pytest

from tests.support.agents import AgentStore, AgentWorker, StartAgentWorker
from tests.support.old_celery import VERSIONS
from tests.support.processes import wait_for
from tests.support.redis_server import StartRedis
from tests.support.roles import FailureText
from tests.system.agent.refused import NODE

DEBUG = ("-l", "DEBUG")
HIJACKED = {"TEST_CONF": "{'worker_hijack_root_logger': True}"}
SETTINGS = {
    "debug": {},
    "debug on the root logger": HIJACKED,
    "own settings at import": {"TEST_LOGGING": "module"},
    "setup_logging": {"TEST_LOGGING": "setup_logging"},
    "after_setup_logger": {"TEST_LOGGING": "after_setup_logger"},
    "settings after the start": {"TEST_LOGGING": "worker_ready"},
    "settings in each pool process": {"TEST_LOGGING": "worker_process_init"},
    "spawned pool processes": {"TEST_SPAWN": "1"},
    "json lines": {"TEST_CONF": "{'worker_task_log_format': '{\"text\": \"%(message)s\"}'}"},
}
POOLS = ("prefork", "threads", "gevent", "eventlet", "solo")
CASES = [("prefork", "current", name) for name in SETTINGS] + [
    (pool, celery, "debug on the root logger") for pool in POOLS for celery in VERSIONS
]


def lines_about(worker: AgentWorker, task: str) -> list[str]:
    """Return the lines of the log with the name of a task, without the list of tasks at the start."""
    return [line for line in worker.logs().splitlines() if task in line and not re.fullmatch(r"\W*[\w.]+", line)]


@pytest.mark.parametrize(("pool", "celery", "settings"), dict.fromkeys(CASES))
def test_heartbeats_leave_no_line(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, pool: str, celery: str, settings: str
) -> None:
    """At level debug, too. The lines about the project's own tasks are complete."""
    redis = start_redis()
    worker = start_agent_worker(
        AgentStore(redis.client()), "-P", pool, "-c", "1", *DEBUG, node=NODE, broker=redis.url, celery=celery,
        env=SETTINGS[settings],
    )  # fmt: skip
    worker.beacon(lambda beacon: beacon.direct)
    for _ in range(3):
        worker.prove()
    worker.send("shop.nap", (0,))
    wait_for(
        lambda: all(
            any(text in line for line in lines_about(worker, "shop.nap")) for text in ("received", "succeeded")
        ),
        seconds=20,
        what=FailureText(worker, "lines about the project's task"),
    )
    worker.prove()
    assert lines_about(worker, "monitor.tasks.") == []
