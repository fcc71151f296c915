"""Every situation of docs/worker-probe.md on real workers: here, and where the table below says."""

from __future__ import annotations

import pytest

from tests.support.celery_nodes import ROOT
from tests.support.probed import NODES, Probed, probe
from tests.support.processes import wait_for
from tests.system.cli import test_probe_worker

SITUATIONS = {
    "executes heartbeats or other tasks": ["test_standing_still_and_being_busy", "test_the_worst_of_several_counts"],
    "all slots that are not stalled are taken, and at least one task has not yet run for its `stuck_after`": [
        "test_standing_still_and_being_busy",
        "test_solo_executes_in_its_loop",
        "tests/system/agent/test_limits.py::test_a_slot_that_stands_still_is_counted_and_the_others_execute",
    ],
    "its prefetch limit is used up by tasks that may not begin yet (`rate_limit`, ETA)": [
        "tests/system/agent/test_limits.py::test_a_prefetch_full_of_tasks_that_may_not_begin"
    ],
    "has not written its file for three intervals (process stopped, gevent's loop blocked)": [
        "test_standing_still_and_being_busy",
        "test_a_green_pool_that_spins",
    ],
    (
        "is connected to its broker, and its event loop has not turned for three intervals "
        "(in a pool `solo` or one that is not Celery's: while no task runs)"
    ): ["test_a_loop_that_does_not_turn", "tests/system/agent/test_limits.py::test_a_pool_of_its_own"],
    (
        "a heartbeat has been waiting for three intervals (six with `worker_max_tasks_per_child` below 10), "
        "slots are free, nothing is executed"
    ): ["test_standing_still_and_being_busy", "test_half_open_broker_connections"],
    "its pool is not one of Celery's and has never executed a heartbeat": ["test_a_pool_that_executes_no_heartbeats"],
    "all tasks in the slots have run for longer than their `stuck_after`, and a heartbeat is waiting": [
        "test_all_slots_stuck"
    ],
    "the broker or the monitor's store is down, or it came back less than 40 s ago": ["test_nothing_that_others_lack"],
    "a name server does not answer, and the agent has lost the store": [
        "tests/system/cli/test_probe_name_servers.py::test_a_silent_name_server"
    ],
    "a name server does not answer, and Celery has lost its broker, whether or not the agent has lost the store": [
        "tests/system/cli/test_probe_name_servers.py::test_a_broker_that_celery_has_lost_to_a_silent_name_server"
    ],
    "the disk of its file is full, or read-only": ["tests/system/cli/test_probe_disks.py::test_a_full_disk"],
    "neither the disk of its file nor memory (`/dev/shm`) can be written": [
        "tests/system/cli/test_probe_disks.py::test_no_place_for_the_file"
    ],
    "the monitor is down and sends no heartbeats": ["test_a_monitor_that_is_down"],
    "its broker refuses the direct queue, so that it gets no direct heartbeats": ["test_a_queue_that_is_refused"],
    "its agent is switched off (`workers.enabled`), or has no URL of a store": ["test_an_agent_that_does_nothing"],
    "is starting (also while it waits for its broker), or is shutting down": [
        "test_a_broker_that_is_down_when_the_worker_starts",
        "test_shutting_down",
    ],
    "has ended, was never started, or has no agent": [
        "test_killed",
        "test_no_worker_was_ever_started",
        "test_a_worker_without_the_agent",
    ],
}
"""The rows of the table, and the tests that show them: ``FILE::NAME`` where they are in neither of the two files."""


def test_every_situation_is_shown() -> None:
    """The table in the documentation and the one above have the same rows, and the tests exist."""
    text = (ROOT / "docs/worker-probe.md").read_text()
    table = text.partition("## The policy")[2].partition("\n\n| ")[2].partition("\n\n")[0]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in table.split("\n")[2:]]
    assert rows == list(SITUATIONS)
    for where, _, name in (test.rpartition("::") for tests in SITUATIONS.values() for test in tests):
        assert name in {*vars(test_probe_worker), *globals()} or f"def {name}(" in (ROOT / where).read_text(), name


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_loop_that_does_not_turn(probed: Probed, pool: str) -> None:
    """Something in the main process waits for ever, and no task does."""
    probed.start(NODES[0], "-P", pool)
    probed.block(9)
    probed.wait_for(1, "is frozen")
    probed.wait_for(0, "has executed a heartbeat")


def test_a_pool_that_executes_no_heartbeats(probed: Probed) -> None:
    """They wait, and that says nothing of a pool of which it is not known how it executes."""
    pool = {"CELERY_CUSTOM_WORKER_POOL": "probed_app:OtherPool"}
    probed.start(NODES[0], "-P", "custom", waits_for="is not judged by heartbeats", **pool)
    probed.stays_alive("is not judged by heartbeats", seconds=10)


def test_a_monitor_that_is_down(probed: Probed) -> None:
    """No heartbeats come any more."""
    probed.start()
    probed.stop_heartbeats()
    probed.stays_alive("has executed a heartbeat")


def test_a_queue_that_is_refused(probed: Probed) -> None:
    """A user of the broker with rights to the project's own keys."""
    keys = ("~probed*", "~_kombu*", "~unacked*", "~celery*", "~*.celery.pidbox*", "&*", "+@all")
    with probed.broker.client() as admin:
        admin.execute_command("ACL", "SETUSER", "shop", "on", ">pw", *keys)
    url = f"redis://shop:pw@127.0.0.1:{probed.proxy.port}/0"
    probed.start(waits_for="has been sent no heartbeat", CELERY_BROKER_URL=url)
    probed.stays_alive("has been sent no heartbeat")


def test_a_worker_without_the_agent(probed: Probed) -> None:
    """No `monitor.install(app)`, no file."""
    worker = probed.start_without_waiting(PROBED_INSTALLED="no")
    wait_for(lambda: " ready." in worker.logs(), seconds=60, what="the worker is ready")
    code, line = probe(probed.directory)
    assert code == 1 and line.startswith("failed: no worker that runs has written into")
