"""`monitor probe worker` as an exec probe starts it: a process, beside real workers in the situations that matter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.agent import beacon_file
from monitor.agent.liveness import RUNNING, LivenessSample
from tests.support.faults import Freezer
from tests.support.probed import NODES, Probed, environment, probe, run


def test_nothing_else_is_imported(tmp_path: Path) -> None:
    """An exec probe starts it every few seconds in every pod: it imports ours and next to nothing."""
    beacon_file.write(str(tmp_path), "w@h", LivenessSample(phase=RUNNING, interval_seconds=10, broker_reachable=True))
    code = "import sys; sys.stderr.write('begin\\n'); sys.argv[0] = 'monitor'; from monitor.cli import main; main()"
    command = [sys.executable, "-X", "importtime", "-c", code, "probe", "worker"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment(tmp_path))
    assert done.stdout == "ok: w@h has just started\n"
    told = done.stderr.partition("begin\n")[2].splitlines()
    modules = {line.rpartition("|")[2].strip() for line in told}
    assert modules <= {
        "monitor", "monitor.cli", "monitor.cli.probe_worker",
        "monitor.agent", "monitor.agent.beacon_file", "monitor.agent.beacon_places", "monitor.agent.liveness", "errno",
    }  # fmt: skip


def test_no_worker_was_ever_started(tmp_path: Path) -> None:
    """Nothing there is a failure that says what is needed, also when there is no directory."""
    for directory in (tmp_path, tmp_path / "none"):
        code, line = probe(directory)
        assert code == 1
        assert line.startswith(f"failed: no worker that runs has written into {directory}: it needs `monitor.install(")


def test_the_worst_of_several_counts(tmp_path: Path) -> None:
    """Several workers in one container are asked for together, or one of them by its name."""
    well = {"phase": RUNNING, "interval_seconds": 60.0, "up_seconds": 900.0, "broker_reachable": True}
    beacon_file.write(str(tmp_path), "a@h", LivenessSample(**well, store_answers=True))
    beacon_file.write(str(tmp_path), "b@h", LivenessSample(**well, store_answers=True, loop_lag_seconds=200.0))
    assert probe(tmp_path) == (1, "failed: b@h is frozen: its event loop has not turned for 200 s\n")
    assert probe(tmp_path, "--name", "b@h")[0] == probe(tmp_path, "--name=b")[0] == 1
    assert probe(tmp_path, "--name", "a@h") == (0, "ok: a@h has been sent no heartbeat\n")
    assert probe(tmp_path, "--name", "c@h")[1].startswith("failed: no worker c@h that runs")
    beacon_file.write(str(tmp_path), "b@h", LivenessSample(**well, store_answers=True))
    assert probe(tmp_path) == (0, "ok: a@h has been sent no heartbeat (and 1 more)\n")


@pytest.mark.parametrize("arguments", [["--name"], ["--name="], ["--nme"], ["--name", "a", "b"], ["celery@h"]])
def test_a_wrong_command_line(tmp_path: Path, arguments: list[str]) -> None:
    """Exit 2 and the usage, as everywhere; and --help is help."""
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: monitor probe worker [--name NODE]\n")
    assert "CELERY_HEALTH_MONITOR_DIR" in run(tmp_path, "--help").stdout


def test_standing_still_and_being_busy(probed: Probed, freezer: Freezer) -> None:
    """Consuming or busy is alive; stopped children with work waiting, or a stopped main process, is not.

    Each only as long as it lasts, and the neighbour in the same container is alive all the time.
    """
    worker = probed.start()
    probed.start(NODES[1], "-Q", "neighbour")

    probed.execute(9, 9)
    probed.wait_for(0, "is busy: 2 of 2 slots taken")
    probed.stays_alive("is busy", seconds=6)
    probed.wait_for(0, "has executed a heartbeat")

    for child in _children(worker.pid):
        freezer.freeze(child)
    probed.wait_for(1, "is wedged")
    assert probe(probed.directory)[1].startswith(f"failed: {NODES[0]} is wedged")
    assert probe(probed.directory, "--name", NODES[1])[0] == 0
    freezer.thaw_all()
    probed.wait_for(0, "has executed a heartbeat")

    freezer.freeze(worker.pid)
    probed.wait_for(1, "is stopped")
    assert probe(probed.directory, "--name", NODES[1])[0] == 0
    freezer.thaw_all()
    probed.wait_for(0, "has executed a heartbeat")


def test_all_slots_stuck(probed: Probed) -> None:
    """Tasks that run for longer than ``stuck_after`` in every slot, while work waits, are a reason; in one slot not."""
    probed.start(MONITOR_WORKERS__STUCK_AFTER="8s")
    probed.execute(60)
    probed.stays_alive("has executed a heartbeat", seconds=12)
    probed.execute(60)
    probed.wait_for(0, "is busy")
    probed.wait_for(1, "is stuck")


def test_solo_executes_in_its_loop(probed: Probed) -> None:
    """Its loop does not turn while a task runs, and that is right."""
    probed.start(NODES[0], "-P", "solo")
    probed.execute(9)
    probed.wait_for(0, "is busy")
    probed.stays_alive("is busy", seconds=6)
    probed.wait_for(0, "has executed a heartbeat")


def test_a_green_pool_that_spins(probed: Probed) -> None:
    """A task that never yields stops everything in the worker, the beacon as well."""
    probed.start(NODES[0], "-P", "gevent")
    probed.execute(20, task="spin")
    probed.wait_for(1, "is stopped")
    probed.wait_for(0, "has executed a heartbeat")


def test_nothing_that_others_lack(probed: Probed) -> None:
    """Broker down, store down, nobody who sends heartbeats: alive, since a restart would mend none of it."""
    probed.start()
    probed.proxy.set("refuse", cut=True)
    probed.wait_for(0, "its broker does not answer")
    probed.stays_alive("its broker does not answer")
    probed.proxy.set("ok")
    probed.wait_for(0, "was unreachable until")
    probed.store.kill()
    probed.wait_for(0, "store does not answer")
    probed.stays_alive("store does not answer", seconds=6)


def test_half_open_broker_connections(probed: Probed) -> None:
    """What the worker waits on is dead without FIN or RST, new connections work: it will not consume by itself."""
    probed.start()
    probed.proxy.abandon()
    # Wedged, or frozen: every 10 s kombu waits in its loop for an answer on one of these connections.
    probed.wait_for(1, f"{NODES[0]} is ")


def test_shutting_down(probed: Probed) -> None:
    """SIGTERM with a task still running: alive until it has ended; then there is no worker."""
    worker = probed.start()
    probed.execute(9, 9)
    probed.wait_for(0, "is busy")
    os.kill(worker.pid, signal.SIGTERM)
    probed.wait_for(0, "is shutting down")
    probed.stays_alive("is shutting down", seconds=4)
    probed.wait_for(1, "no worker one@probed that runs")


def test_killed(probed: Probed) -> None:
    """SIGKILL: its file is still there, and is not believed."""
    worker = probed.start()
    worker.kill()
    code, line = probe(probed.directory)
    assert code == 1
    assert line.startswith("failed: no worker that runs")


@pytest.mark.parametrize(("name", "value"), [("WORKERS__ENABLED", "false"), ("REDIS_URL", "http://nonsense")])
def test_an_agent_that_does_nothing(probed: Probed, name: str, value: str) -> None:
    """Switched off, or without a store that makes sense: whoever changes a setting must not restart every worker."""
    probed.start(waits_for="is not judged: its agent is switched off", **{f"MONITOR_{name}": value})


def test_a_broker_that_is_down_when_the_worker_starts(probed: Probed) -> None:
    """The worker waits for it, and must not be restarted meanwhile."""
    probed.proxy.set("refuse")
    probed.start(waits_for="is starting")
    probed.stays_alive("is starting")
    probed.proxy.set("ok")
    probed.wait_for(0, "has executed a heartbeat")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
