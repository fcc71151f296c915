"""Real workers, the real monitor, intervals of a second: what happens to a worker is told of it, and of nobody else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from monitor.agent import beacon_file
from monitor.cli import probe_worker
from monitor.model.checks import State, Status
from tests.support.agents import AgentStore, AgentWorker, StartAgentWorker, start_agent_worker
from tests.support.faults import Freezer
from tests.support.processes import wait_for
from tests.support.rabbitmq_server import RabbitServer, rabbitmq_server
from tests.support.roles import FailureText, Monitor, StartMonitor, start_monitor

__all__ = ["rabbitmq_server", "start_agent_worker", "start_monitor"]

CONFIGURATION = """
[workers]
interval = "1s"
forget_after = "10s"
return_within = "10s"
stuck_after = "1h"
"""


class Stage:
    """A monitor, and workers that it watches."""

    def __init__(self, monitor: Monitor, start: StartAgentWorker, pulses: Path) -> None:
        self.monitor = monitor
        self._start, self._pulses = start, pulses
        self._workers: list[AgentWorker] = []
        self._client = monitor.redis.client()
        self.store = AgentStore(self._client)

    def worker(
        self,
        node: str,
        *queues: str,
        broker: str | None = None,
        slots: int = 2,
        pulses: Path | None = None,
        **env: str,
    ) -> AgentWorker:
        """Start a worker of these queues, or of those that its application names."""
        options = (*(("-Q", ",".join(queues)) if queues else ()), "-c", str(slots))
        env = {beacon_file.VARIABLE: str(pulses or self._pulses), **env}
        broker = broker or self.monitor.redis.url
        self._workers.append(self._start(self.store, *options, node=node, broker=broker, env=env))
        return self._workers[-1]

    def state(self, check: str) -> State | None:
        """What is stored of a check."""
        return self.monitor.store.states.read([check]).states.get(check)

    def wait_for(self, seconds: float = 30, **reasons: str) -> None:
        """Wait until checks have these reasons; `worker__NAME` is the check `worker:NAME@h`."""
        wanted = {_check(name): reason for name, reason in reasons.items()}

        def fits() -> bool:
            states = self.monitor.store.states.read(wanted).states
            return all(name in states and states[name].result.reason == wanted[name] for name in wanted)

        wait_for(fits, seconds=seconds, what=FailureText(self, f"{wanted}"))

    def alarms(self) -> set[tuple[str, str | None]]:
        """All that was ever an error or a warning, but hosts: this one is busy with other tests."""
        made = (transition for _, transition in self.monitor.store.states.transitions(limit=1000))
        bad = {(t.check, t.reason) for t in made if t.new.severity}
        return {(check, reason) for check, reason in bad if check.startswith(("worker:", "queue:"))}

    def waiting(self, queue: str) -> int:
        """How many messages wait."""
        return int(self._client.llen(queue))

    def messages(self, queue: str) -> list[bytes]:
        """What waits."""
        return list(self._client.lrange(queue, 0, -1))

    def logs(self) -> str:
        """For a failure's message."""
        states = self.monitor.store.states.read().states.values()
        told = "\n".join(f"{s.check} {s.status} {s.result.reason} {s.result.message} {s.result.data}" for s in states)
        workers = "\n".join(f"--- {worker.node} ({worker.status})\n{worker.logs()[-2000:]}" for worker in self._workers)
        return f"{told}\n{workers}\n{self.monitor.logs()}"


def _check(name: str) -> str:
    kind, _, target = name.partition("__")
    return f"{kind}:{target}@h" if kind == "worker" else f"{kind}:{target}" if target else kind


@pytest.fixture
def stage(start_monitor: StartMonitor, start_agent_worker: StartAgentWorker, tmp_path: Path) -> Iterator[Stage]:
    """The monitor, and two workers that consume: `a` of celery, `m` of mail."""
    monitor = start_monitor(CONFIGURATION)
    stage = Stage(monitor, start_agent_worker, tmp_path)
    monitor.worker()
    monitor.beat()
    yield stage


def test_the_right_worker_is_told_of(stage: Stage) -> None:
    """Killed, and back; stopped, and continued; ended: each time that worker and its queue, and never its neighbour."""
    stage.worker("a@h", "celery")
    mail = stage.worker("m@h", "mail")
    stage.wait_for(worker__a="consuming", worker__m="consuming", queue__mail="consumed", queue__celery="consumed")
    data = _data(stage, "worker:m@h")
    assert (data["queues"], data["slots"], data["pool"]) == (["mail"], 2, "prefork")
    assert data["latency_ms"] > 0
    assert _data(stage, "queue:mail")["workers"] == 1

    mail.kill("SIGKILL")
    stage.wait_for(worker__m="lost", queue__mail="unconsumed", workers="unconsumed")
    mail.start()
    stage.wait_for(worker__m="consuming", queue__mail="consumed")

    os.kill(mail.pid, signal.SIGSTOP)
    stage.wait_for(worker__m="frozen", queue__mail="unconsumed")
    os.kill(mail.pid, signal.SIGCONT)
    stage.wait_for(worker__m="consuming", queue__mail="consumed", workers=None)  # type: ignore[arg-type]

    own = mail.beacon().direct_queue
    os.kill(mail.pid, signal.SIGTERM)  # the goodbye is said at once, however long the worker takes to leave
    stage.wait_for(worker__m="retired", queue__mail="resting")
    stage.wait_for(queue__mail="unconsumed")
    wait_for(lambda: stage.state("worker:m@h") is None, seconds=30, what=FailureText(stage, "m is forgotten"))
    assert stage.store.beacon("m@h") is None
    assert stage.waiting(own) == 0
    assert stage.state("queue:mail") is not None
    expected = {("worker:m@h", "lost"), ("worker:m@h", "frozen"), ("queue:mail", "unconsumed")}
    assert stage.alarms() == expected, stage.logs()


def test_two_workers_under_one_name(stage: Stage, tmp_path: Path, freezer: Freezer) -> None:
    """Containers with a fixed `-n`: a warning names both; the slot of one stands still, and the other is no excuse.

    Neither a restart nor a rolling deployment under that name is an alarm, and nothing is left behind in the broker.
    """
    one, other = (stage.worker("app@h", "celery", slots=1, pulses=tmp_path / place) for place in ("a", "b"))
    stage.wait_for(worker__app="duplicate", queue__celery="consumed")
    state = stage.state("worker:app@h")
    assert state is not None and state.status is Status.WARNING
    assert {each["pid"] for each in state.result.detail["instances"]} == {one.pid, other.pid}
    assert all(f"pid {worker.pid}" in str(state.result.message) for worker in (one, other))

    freezer.freeze(only_child(other.pid))
    stage.wait_for(worker__app="wedged", queue__celery="consumed")
    wait_for(
        lambda: not probe(tmp_path / "b")[0], seconds=30, what=FailureText(stage, "the probe of the stopped one fails")
    )
    assert "is wedged" in probe(tmp_path / "b")[1]
    assert probe(tmp_path / "a")[0]
    state = stage.state("worker:app@h")
    assert state is not None and state.result.detail["pid"] == other.pid
    freezer.thaw_all()
    stage.wait_for(worker__app="duplicate")
    wait_for(lambda: probe(tmp_path / "b")[0], seconds=30, what=FailureText(stage, "its probe is ok again"))

    other.kill("SIGTERM")
    stage.wait_for(worker__app="consuming")
    alarms = stage.alarms()
    assert alarms == {("worker:app@h", "duplicate"), ("worker:app@h", "wedged")}, stage.logs()

    began = stage.monitor.store.states.now()
    one.kill("SIGKILL")
    one.start()
    wait_for(
        lambda: _started(stage, "worker:app@h") > began, seconds=30, what=FailureText(stage, "the new one is judged")
    )
    stage.wait_for(worker__app="consuming")
    stage.worker("app@h", "celery", slots=1, pulses=tmp_path / "b")
    wait_for(
        lambda: len(_instances(stage, "worker:app@h")) == 2, seconds=30, what=FailureText(stage, "two side by side")
    )
    one.kill("SIGTERM")
    wait_for(
        lambda: len(_instances(stage, "worker:app@h")) == 1, seconds=30, what=FailureText(stage, "the new one alone")
    )
    stage.wait_for(worker__app="consuming")
    # A restart that takes longer than two intervals is an alarm while it lasts, on a busy machine.
    assert stage.alarms() - alarms <= {("queue:celery", "unconsumed"), ("worker:app@h", "lost")}, stage.logs()
    (left,) = _instances(stage, "worker:app@h")
    own = f"monitor.worker.app@h.{left['instance']}".encode()
    client = stage.monitor.redis.client()
    wait_for(
        lambda: set(client.scan_iter(match="monitor.worker.*", count=1000)) <= {own},
        seconds=30,
        what=FailureText(stage, "the queues of those that have ended are removed"),
    )


def test_a_queue_that_is_cancelled_is_told_of(stage: Stage) -> None:
    """`cancel_consumer` of one of two queues: that queue; `add_consumer`: fine again. No worker is alarmed."""
    stage.worker("a@h", "celery", "mail")
    stage.wait_for(worker__a="consuming", queue__mail="consumed", queue__celery="consumed")
    with Celery(broker=stage.monitor.redis.url, set_as_current=False) as app:
        app.control.cancel_consumer("mail", destination=["a@h"])
        stage.wait_for(queue__mail="unconsumed", worker__a="consuming", queue__celery="consumed")
        app.control.add_consumer("mail", destination=["a@h"])
        stage.wait_for(queue__mail="consumed")
    assert stage.alarms() == {("queue:mail", "unconsumed")}, stage.logs()


def test_an_unmodified_worker_on_a_shared_queue_hears_nothing_of_us(stage: Stage) -> None:
    """No heartbeat reaches it; the queue is judged by its other worker."""
    unmodified = stage.worker("old@h", "celery", TEST_INSTALL="no")
    wait_for(lambda: "ready." in unmodified.logs(), seconds=30, what=FailureText(unmodified, "it is ready"))
    stage.worker("a@h", "celery")
    stage.wait_for(worker__a="consuming", queue__celery="consumed")
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > 5, what="heartbeats of five intervals")
    assert _data(stage, "queue:celery")["withheld"] is True
    assert stage.state("queue:celery").status is Status.OK  # type: ignore[union-attr]
    assert "monitor.tasks" not in unmodified.logs()
    assert "unregistered" not in unmodified.logs()
    assert stage.state("worker:old@h") is None
    assert stage.alarms() == set()


def test_a_redis_that_is_restarted_empty_is_no_alarm(stage: Stage) -> None:
    """Store and broker at once; the workers come back by themselves, and so do their states."""
    stage.worker("a@h", "celery")
    stage.wait_for(worker__a="consuming", queue__celery="consumed")
    stage.monitor.redis.restart()
    stage.wait_for(worker__a="consuming", queue__celery="consumed", seconds=60)
    assert stage.alarms() == set(), stage.logs()


def test_rabbitmq(
    start_monitor: StartMonitor,
    start_agent_worker: StartAgentWorker,
    rabbitmq_server: RabbitServer,
    tmp_path: Path,
) -> None:
    """Heartbeats travel the project's RabbitMQ, beacons and verdicts are in our Redis: killed, and back; ended."""
    monitor = start_monitor(CONFIGURATION, env={"MONITOR_BROKER_URL": rabbitmq_server.url})
    stage = Stage(monitor, start_agent_worker, tmp_path)
    monitor.worker()
    monitor.beat()
    ours = {"broker": rabbitmq_server.url, "MONITOR_REDIS_URL": monitor.redis.url}
    stage.worker("a@h", "celery", **ours)
    mail = stage.worker("m@h", "mail", **ours)
    stage.wait_for(worker__a="consuming", worker__m="consuming", queue__mail="consumed", queue__celery="consumed")
    mail.kill("SIGKILL")
    stage.wait_for(worker__m="lost", queue__mail="unconsumed")
    mail.start()
    stage.wait_for(worker__m="consuming", queue__mail="consumed")
    os.kill(mail.pid, signal.SIGTERM)  # the goodbye is said at once, however long the worker takes to leave
    stage.wait_for(worker__m="retired")
    assert {check for check, _ in stage.alarms()} <= {"worker:m@h", "queue:mail"}, stage.logs()


def only_child(pid: int) -> int:
    """The process of a prefork pool of one slot."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def probe(directory: Path) -> tuple[bool, str]:
    """What `monitor probe worker` says there."""
    return probe_worker.judge_workers(str(directory), None)


def _instances(stage: Stage, check: str) -> list[dict[str, object]]:
    state = stage.state(check)
    return list(state.result.detail["instances"]) if state else []


def _started(stage: Stage, check: str) -> float:
    state = stage.state(check)
    return state.result.observed_at - state.result.data["up_seconds"] if state else 0.0


def _data(stage: Stage, check: str) -> dict[str, object]:
    state = stage.state(check)
    assert state is not None
    return dict(state.result.data)
