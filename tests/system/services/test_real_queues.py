"""Real workers and the queues that they leave behind: queues of one process, scale to zero, a forgotten `-Q`."""

from __future__ import annotations

import json

from monitor.agent.protocol import HEARTBEAT
from monitor.model.checks import Status
from tests.support.processes import wait_for
from tests.support.roles import FailureText
from tests.system.services.test_real_workers import Stage, stage, start_agent_worker, start_monitor

__all__ = ["stage", "start_agent_worker", "start_monitor"]

BROADCAST = """{'task_queues': [
    __import__('kombu').Queue('celery'),
    __import__('kombu.common', fromlist=['common']).Broadcast('reload'),
]}"""


def test_a_queue_of_one_process_has_no_check(stage: Stage) -> None:
    """kombu's `Broadcast`, over a restart of its worker: nothing is ever sent to it, and nobody misses it."""
    worker = stage.worker("a@h", TEST_CONF=BROADCAST)
    names = []
    for _ in range(2):
        stage.wait_for(worker__a="consuming", queue__celery="consumed")
        beacon = worker.beacon(lambda beacon: len(beacon.queues) == 2 and beacon.short_lived)
        assert [*(beacon.short_lived or {}).values()] == ["fanout"]
        names += [*(beacon.short_lived or {})]
        worker.wait_for_execution(stage.store.now_us() + 2_000_000, "queue", "celery")
        worker.kill("SIGTERM")
        stage.wait_for(worker__a="retired")
        worker.start()
    stage.wait_for(worker__a="consuming", queue__celery="consumed")
    assert len({*names}) == 2
    assert [stage.waiting(name) for name in names] == [0, 0]
    states = stage.monitor.store.states.read().states
    assert [check for check in states if check.startswith("queue:")] == ["queue:celery"]
    assert stage.alarms() == set(), stage.logs()


def test_an_autoscaler_that_scales_to_zero(stage: Stage) -> None:
    """The last worker of a queue is ended: the list is empty and stays so, what it returns is taken back, and all is
    well. A worker that comes with the same name and without its `-Q` makes it an error after `return_within`.
    """
    stage.worker("a@h", "celery")
    mail = stage.worker("m@h", "mail")
    stage.wait_for(worker__a="consuming", worker__m="consuming", queue__mail="consumed", queue__celery="consumed")
    mail.kill("SIGTERM")
    stage.wait_for(worker__m="retired", queue__mail="resting", workers=None)  # type: ignore[arg-type]
    wait_for(lambda: stage.waiting("mail") == 0, what=FailureText(stage, "what was in it is taken back"))
    mail.send(HEARTBEAT, ("queue", "mail", 1), "mail")  # as a worker returns what it has not begun
    mail.send("shop.done", (), "mail")
    wait_for(
        lambda: stage.waiting("mail") == 1, what=FailureText(stage, "the heartbeat is taken back, the task is not")
    )
    [left] = stage.messages("mail")
    assert json.loads(left)["headers"]["task"] == "shop.done"
    assert stage.alarms() == set(), stage.logs()
    stage.worker("m@h", "celery")
    stage.wait_for(worker__m="consuming", queue__mail="unconsumed")
    assert stage.waiting("mail") == 1
    assert stage.alarms() == {("queue:mail", "unconsumed")}, stage.logs()
    assert stage.state("workers").status is Status.ERROR  # type: ignore[union-attr]
