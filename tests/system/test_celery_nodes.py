"""The monitor beside a worker and a broker that pytest-celery runs: as processes, or as its stock containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_celery import CeleryTestSetup
from pytest_celery.vendors.worker.tasks import add

from tests.support.processes import wait_for
from tests.support.redis_server import StartRedis
from tests.support.roles import Monitor


@pytest.fixture
def monitor(celery_setup: CeleryTestSetup, start_redis: StartRedis, tmp_path: Path) -> Iterator[Monitor]:
    """The monitor with a store of its own, over the set-up's broker; it watches the queue of the set-up's worker."""
    broker = celery_setup.broker.config()["host_url"]
    roster = f'[checks.celery]\nkind = "celery"\nqueues = ["{celery_setup.worker.worker_queue}"]\ninterval = "1s"\n'
    monitor = Monitor(tmp_path, start_redis(), roster, {"MONITOR_BROKER_URL": broker})
    monitor.worker()
    monitor.beat()
    monitor.wait_for_results("celery")
    yield monitor
    monitor.stop()


def test_the_nodes_are_real(celery_setup: CeleryTestSetup) -> None:
    """A task makes its way through broker, worker and backend; a worker that was killed works again after a restart."""
    assert celery_setup.ready(ping=True, control=True, docker=True)
    queue, worker = celery_setup.worker.worker_queue, celery_setup.worker
    assert add.s(2, 3).apply_async(queue=queue).get(timeout=20) == 5
    worker.kill()
    waiting = add.s(20, 3).apply_async(queue=queue)
    worker.restart()
    assert waiting.get(timeout=20) == 23


def test_tasks_that_wait_for_a_dead_worker_are_counted(celery_setup: CeleryTestSetup, monitor: Monitor) -> None:
    """`pending_tasks` grows while the watched worker is dead, and is 0 again once it has caught up."""
    celery_setup.worker.kill()
    for number in range(3):
        add.s(number, 1).apply_async(queue=celery_setup.worker.worker_queue)
    wait_for(lambda: monitor.results()["celery"].data.get("pending_tasks") == 3, what="three tasks wait")
    celery_setup.worker.restart()
    wait_for(lambda: monitor.results()["celery"].data.get("pending_tasks") == 0, seconds=20, what="none waits")


def test_a_broker_that_dies_and_comes_back(celery_setup: CeleryTestSetup, monitor: Monitor) -> None:
    """The monitor's own tasks travel through the watched broker: it finds back to it by itself, and the check is ok."""
    celery_setup.broker.kill()
    celery_setup.broker.restart()
    monitor.wait_for_results("celery", after=monitor.store.states.now())
    assert monitor.results()["celery"].status == "ok"
