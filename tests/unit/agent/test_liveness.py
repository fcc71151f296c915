"""Would a restart help? The verdict over a pulse, what the agent remembers between two, and the file they are in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.agent import beacon_file
from monitor.agent.liveness import LEAVING, OFF, RUNNING, STARTING, LivenessSample, judge
from monitor.agent.progress import HeartbeatProgress
from monitor.cli import probe_worker

WELL: dict[str, Any] = {
    "phase": RUNNING,
    "interval_seconds": 10.0,
    "pool": "prefork",
    "up_seconds": 3600.0,
    "slots": 4,
    "loop_lag_seconds": 0.4,
    "executed_age_seconds": 3.0,
    "idle_seconds": 3.0,
    "store_answers": True,
    "broker_reachable": True,
}
WAITS = {"unanswered_seconds": 31.0, "idle_seconds": 40.0}
FULL = {"active": 4, "reserved": 12, "taken": True}


@pytest.mark.parametrize(
    ("caption", "pulse", "age", "alive", "why"),
    [
        ("executes heartbeats", {}, 5, True, "executed a heartbeat sent 3 s ago"),
        ("executes heartbeats, one slot is taken for long", {"active": 1, "idle_seconds": 900.0}, 5, True, "executed"),
        ("was never sent a heartbeat: no monitor", {"executed_age_seconds": None}, 5, True, "sent no heartbeat"),
        ("nothing to do and no new heartbeats: emitter down", {"idle_seconds": 900.0}, 5, True, "executed"),
        ("a pulse that is merely late", {}, 29, True, "executed"),
        ("no pulse for three intervals: the process stands still", {}, 31, False, "is stopped"),
        ("stands still, its broker away when last seen", {"broker_reachable": False}, 31, False, "is stopped"),
        ("starting: waits for its broker, whatever it takes", {"phase": STARTING}, 900, True, "starting"),
        ("shutting down: ends its tasks, whatever it takes", {"phase": LEAVING}, 900, True, "shutting down"),
        ("the agent is switched off: no reason to restart anything", {"phase": OFF}, 900, True, "switched off"),
        ("just started, nothing executed yet", {"up_seconds": 20.0, **WAITS}, 5, True, "just started"),
        ("a heartbeat waits, nothing is executed", WAITS, 5, False, "wedged"),
        ("the same with messages reserved: children stopped", {**WAITS, "reserved": 3}, 5, False, "wedged"),
        ("a heartbeat waits, not yet for long", {**WAITS, "unanswered_seconds": 29.0}, 5, True, "executed"),
        ("a heartbeat waits, other tasks are executed", {**WAITS, "idle_seconds": 2.0}, 5, True, "executed"),
        ("all slots taken: busy", {**WAITS, **FULL}, 5, True, "busy: 4 of 4"),
        ("all slots taken for too long, work waits", {**WAITS, **FULL, "stuck": True}, 5, False, "stuck"),
        ("all slots taken for too long, nothing waits", {**FULL, "stuck": True}, 5, True, "busy"),
        ("its loop does not turn", {"loop_lag_seconds": 31.0}, 5, False, "frozen"),
        ("its loop does not turn, all slots taken", {"loop_lag_seconds": 31.0, **FULL}, 5, False, "frozen"),
        ("its loop does not turn: it waits for the broker", {"loop_lag_seconds": 99.0, "broker_reachable": False}, 5,
         True, "broker does not answer"),
        ("its loop does not turn, store down", {"loop_lag_seconds": 31.0, "store_answers": False}, 5, True,
         "store does not answer"),
        ("store down, and was before", {"recovered_seconds": 0.0, "store_answers": False}, 5, True,
         "store does not answer"),
        ("the broker is just back, Celery not yet", {"loop_lag_seconds": 99.0, "recovered_seconds": 30.0}, 5, True,
         "was unreachable"),
        ("the broker is back for long, Celery never came", {"loop_lag_seconds": 99.0, "recovered_seconds": 41.0}, 5,
         False, "frozen"),
        ("a heartbeat waits, broker down", {**WAITS, "broker_reachable": False}, 5, True, "broker does not answer"),
        ("a heartbeat waits, store down", {**WAITS, "store_answers": False}, 5, True, "store does not answer"),
        ("solo: a task in the loop is no frozen loop", {**WAITS, "pool": "solo", "slots": 1, "active": 1,
         "loop_lag_seconds": 600.0}, 5, True, "busy"),
        ("solo: a task for too long, work waits", {**WAITS, "pool": "solo", "slots": 1, "active": 1, "taken": True,
         "stuck": True, "loop_lag_seconds": 600.0}, 5, False, "stuck"),
        ("solo: a loop that stands still without a task", {"pool": "solo", "slots": 1, "loop_lag_seconds": 31.0}, 5,
         False, "frozen"),
        ("a pool of its own: a task in the loop is no frozen loop", {**WAITS, "pool": "AsyncIOPool", "slots": 1,
         "active": 1, "loop_lag_seconds": 600.0}, 5, True, "busy"),
        ("a pool of its own: nothing is executed any more", {**WAITS, "pool": "AsyncIOPool"}, 5, False, "wedged"),
        ("a pool of its own: no heartbeat was ever executed", {**WAITS, "pool": "X", "judged": False}, 5, True,
         "not judged by heartbeats"),
        ("half of the slots stalled, the others taken", {**WAITS, "active": 2, "taken": True}, 5, True, "busy: 2 of 4"),
        ("its prefetch is full of tasks that may not begin yet", {**WAITS, "reserved": 16, "holding_back": True}, 5,
         True, "may not start yet"),
        ("the same, its loop does not turn", {**WAITS, "holding_back": True, "loop_lag_seconds": 31.0}, 5, False,
         "frozen"),
        ("a heartbeat waits for a new process", {**WAITS, "unanswered_seconds": 59.0, "idle_seconds": 99.0,
         "dear": True}, 5, True, "executed"),
        ("no new process comes", {**WAITS, "unanswered_seconds": 61.0, "idle_seconds": 99.0, "dear": True}, 5, False,
         "wedged"),
        ("gevent: no such loop", {"pool": "gevent", "loop_lag_seconds": None}, 5, True, "executed"),
        ("short intervals do not make a busy machine a reason", {"interval_seconds": 0.5}, 4.9, True, "executed"),
        ("but five seconds do", {"interval_seconds": 0.5}, 5.1, False, "is stopped"),
    ],
)  # fmt: skip
def test_verdicts(caption: str, pulse: dict[str, Any], age: float, alive: bool, why: str) -> None:
    """Only what a restart would mend is not alive."""
    found, said = judge(LivenessSample(**{**WELL, **pulse}), age)
    assert found is alive, said
    assert why in said


class Worker:
    """A worker's heartbeats as its agent sees them, at a look every five seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.progress = HeartbeatProgress(self.now, interval_seconds=10)
        self.emitted: int | None = None
        self.executed: int | None = None
        self.done = 0

    def look(self, times: int = 1, *, every: float = 5.0, store: bool = True, broker: bool = True) -> HeartbeatProgress:
        """Let time pass, and look."""
        for _ in range(times):
            self.now += every
            self.progress.observe(
                self.now,
                store_answers=store,
                broker_reachable=broker,
                started_count=self.done,
                emitted_us=self.emitted if store else None,
                executed_us=self.executed if store else None,
                store_now_us=round(self.now * 1e6) if store else None,
            )
        return self.progress

    def send(self) -> None:
        """The monitor sends a heartbeat."""
        self.emitted = round(self.now * 1e6)

    def execute(self) -> None:
        """The worker executes the newest one."""
        self.executed, self.done = self.emitted, self.done + 1


@pytest.fixture
def worker() -> Worker:
    """One that has been looked at once."""
    worker = Worker()
    worker.look()
    return worker


def test_what_is_executed_does_not_wait(worker: Worker) -> None:
    """Heartbeats that are executed leave nothing waiting, and say how old the newest is."""
    for _ in range(5):
        worker.send()
        worker.execute()
        progress = worker.look()
    assert (progress.unanswered_seconds, progress.idle_seconds, progress.executed_age_seconds) == (0, 0, 5)


def test_the_oldest_of_those_that_wait_counts(worker: Worker) -> None:
    """Newer heartbeats do not make the oldest wait less; once it is executed, waiting starts anew."""
    for _ in range(8):
        worker.send()
        progress = worker.look()
    assert (progress.unanswered_seconds, progress.idle_seconds) == (35, 45)
    worker.execute()
    assert worker.look().unanswered_seconds == 0


def test_what_was_sent_before_the_first_look_is_not_waited_for() -> None:
    """A worker that starts while the monitor is gone finds a heartbeat of its predecessor, perhaps lost for ever."""
    worker = Worker()
    worker.send()
    assert worker.look(20).unanswered_seconds == 0
    worker.send()
    assert worker.look(3).unanswered_seconds == 10


@pytest.mark.parametrize("away", [{"store": False}, {"broker": False}])
def test_an_outage_starts_everything_anew(worker: Worker, away: dict[str, bool]) -> None:
    """What waited when broker or store went away may be lost; how long both are back is known."""
    assert worker.progress.recovered_seconds is None
    worker.send()
    worker.look(5)
    assert worker.look(1, **away).unanswered_seconds == 0
    assert worker.progress.recovered_seconds == 0
    progress = worker.look(6)
    assert (progress.unanswered_seconds, progress.recovered_seconds) == (0, 30)
    worker.send()
    assert worker.look(3).unanswered_seconds == 10


def test_a_flushed_store_starts_everything_anew(worker: Worker) -> None:
    """The heartbeat that was waited for is unknown there."""
    worker.send()
    worker.look(3)
    worker.emitted = None
    assert worker.look(3).unanswered_seconds == 0


def test_a_pause_is_not_counted(worker: Worker) -> None:
    """After SIGSTOP and SIGCONT, or a suspended machine, the worker has as long to answer as ever."""
    worker.send()
    worker.look()
    assert worker.look(every=600.0).unanswered_seconds == 20


def test_round_trip(tmp_path: Path) -> None:
    """Everything that is written is read, for any node name, by the process's own clock; files are replaced whole."""
    directory = str(tmp_path / "pulses")
    for node in ("celery@höst/1", "w2@h"):
        beacon_file.write(directory, node, LivenessSample(**{**WELL, **WAITS, **FULL, "stuck": True}))
    first, second = beacon_file.read(directory)
    assert {first.node, second.node} == {"celery@höst/1", "w2@h"}
    assert first.pid == os.getpid()
    assert 0 <= first.age_seconds < 60
    expected = {**WELL, **WAITS, **FULL, "stuck": True, "recovered_seconds": None}
    expected |= {"holding_back": False, "judged": True, "dear": False}
    assert {name: getattr(first.sample, name) for name in LivenessSample.__slots__} == expected
    assert (tmp_path / "pulses").stat().st_mode & 0o777 == 0o700
    assert len(list(Path(directory).iterdir())) == 2
    for node in ("w2@h", "celery@höst/1", "celery@höst/1"):
        beacon_file.remove(directory, node)
    assert beacon_file.read(directory) == []


def test_what_a_dead_worker_left_is_ignored_and_then_removed(tmp_path: Path) -> None:
    """By process id and its start: also when a file survives a restart of its container, and the id is used again."""
    code = "import sys; from monitor.agent import beacon_file as b, liveness as l; "
    code += "b.write(*sys.argv[1:], l.LivenessSample("
    code += "phase=l.RUNNING, interval_seconds=10))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path), "dead@h"], check=True, timeout=30)
    (left,) = tmp_path.glob("dead@h.*.pulse")
    reused = tmp_path / "reused@h.pulse"
    own_id = "\n".join(
        f"pid {os.getpid()}" if line.startswith("pid ") else line for line in left.read_text().split("\n")
    )
    reused.write_text(own_id)
    (tmp_path / "garbage.pulse").write_bytes(b"\xff\x00no pulse")
    assert beacon_file.read(str(tmp_path)) == []
    beacon_file.write(str(tmp_path), "alive@h", LivenessSample(**WELL))
    assert [sighting.node for sighting in beacon_file.read(str(tmp_path))] == ["alive@h"]
    assert [file.name for file in tmp_path.iterdir()] == [f"alive@h.{os.getpid()}.pulse"]


def test_two_workers_of_one_name_have_a_file_each(tmp_path: Path) -> None:
    """Neither answers for the other one; the probe says of the worst of them what it is."""
    code = "import sys; from monitor.agent import beacon_file as b, liveness as l; "
    code += "b.write(*sys.argv[1:], l.LivenessSample("
    code += "phase=l.RUNNING, interval_seconds=60, up_seconds=900, loop_lag_seconds=float(sys.stdin.readline()), "
    code += "broker_reachable=True, store_answers=True)); print('written', flush=True); sys.stdin.readline()"
    command = [sys.executable, "-c", code, str(tmp_path), "w@h"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as one, subprocess.Popen(command, **pipes) as other:  # type: ignore[call-overload]
        for worker, lag in ((one, 900), (other, 0)):
            print(lag, file=worker.stdin, flush=True)
            assert worker.stdout.readline() == "written\n"
        assert {(found.node, found.pid) for found in beacon_file.read(str(tmp_path))} == {
            ("w@h", one.pid),
            ("w@h", other.pid),
        }
        alive, line = probe_worker.judge_workers(str(tmp_path), "w@h")
        one.stdin.close()
        other.stdin.close()
    assert not alive
    assert "is frozen: its event loop has not turned for 900 s" in line


def test_a_pulse_of_another_boot_is_ignored(tmp_path: Path) -> None:
    """Its time is ahead of this machine's."""
    beacon_file.write(str(tmp_path), "w@h", LivenessSample(**WELL))
    (file,) = tmp_path.iterdir()
    file.write_text(re.sub("(?m)^at .*", "at 99999999999.0", file.read_text()))
    assert beacon_file.read(str(tmp_path)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory somebody else's")
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below /tmp anybody may have made it first, and could say what he likes about our workers."""
    monkeypatch.delenv(beacon_file.VARIABLE, raising=False)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    os.chown(foreign, 12345, 12345)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="another user"):
        beacon_file.write(str(foreign), "w@h", LivenessSample(**WELL))
    with pytest.raises(PermissionError, match="another user"):
        beacon_file.read(str(foreign))
    with pytest.raises(NotADirectoryError):
        beacon_file.read(str(link))


SOMEBODY, ANOTHER = 54321, 54322


def write_and_probe(user: int) -> tuple[bool, str]:
    """What the probe says after a worker's first pulse, both in a process of that user."""
    receiver, sender = os.pipe()
    if not (pid := os.fork()):  # not a new interpreter, which that user may not be permitted to read
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            beacon_file.write(
                beacon_file.directory_to_write(), "w@h", LivenessSample(phase=STARTING, interval_seconds=10)
            )
            alive, line = probe_worker.judge_workers(beacon_file.directory(), None)
            os.write(sender, f"{alive:d}{line}".encode())
        except BaseException as error:  # noqa: BLE001 - the child must not go on with the tests
            os.write(sender, f"0{error!r}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(sender)
    with os.fdopen(receiver) as answer:
        text = answer.read()
    return text[:1] == "1", text[1:]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory somebody else's")
@pytest.mark.parametrize("taken_by", ["a directory", "a link", "a file"])
def test_another_user_who_takes_the_directory_first(taken_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker takes one of its own under another name, and its probe finds it; nothing foreign is read or used."""
    monkeypatch.delenv(beacon_file.VARIABLE, raising=False)
    usual, before = Path(f"/tmp/celery-health-monitor-{SOMEBODY}"), set(Path("/tmp").iterdir())
    bait = usual.with_name(f"{usual.name}.0")
    try:
        if taken_by == "a link":
            usual.symlink_to("/var/tmp")
        elif taken_by == "a file":
            usual.touch()
        else:
            usual.mkdir(mode=0o777)
        bait.mkdir(mode=0o777)  # it could have guessed the other names, too
        os.chown(bait, ANOTHER, ANOTHER)
        os.chown(usual, ANOTHER, ANOTHER, follow_symlinks=False)
        for _ in range(2):  # the second process finds what the first has made
            assert write_and_probe(SOMEBODY) == (True, "w@h is starting")
        made = [path for path in set(Path("/tmp").glob(f"{usual.name}*")) - before if path not in (usual, bait)]
        assert [(path.stat().st_uid, path.stat().st_mode & 0o777) for path in made] == [(SOMEBODY, 0o700)]
        assert not list(bait.iterdir())
    finally:
        for path in set(Path("/tmp").glob(f"{usual.name}*")) - before:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
