"""What is said of a worker and of a queue: each rule, and its neighbours."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.agent.protocol import ActiveTask, Beacon
from monitor.config.settings import WorkerSettings
from monitor.lib.safe_names import check_name
from monitor.model.checks import QueueVerdict, Status, WorkerVerdict
from monitor.policy.runtime_checks import check_spec
from monitor.policy.workers import outcomes
from monitor.policy.workers.verdicts import (
    QueueObservation,
    WorkerObservation,
    is_expired,
    queue_verdict,
    served_until,
    worker_verdict,
)
from monitor.ports.workers import ExecutedHeartbeat
from tests.support.builders import NOW

SETTINGS = WorkerSettings(interval=10, stuck_after=900, stuck_after_by_task={"long": 7200}, slow_after=60)


FULL = {"prefetch_full": True}


def tasks(*ages: float, name: str = "t") -> tuple[ActiveTask, ...]:
    return tuple(ActiveTask(name, age) for age in ages)


def worker(
    unseen: float = 5,
    waiting: float | None = None,
    executed: float | Literal["before"] | None = "before",
    connected: bool | None = False,
    worked: float | None = None,
    **fields: Any,
) -> WorkerObservation:
    """A worker of two slots: seconds since its beacon, its oldest unanswered heartbeat, its newest executed one.

    That one was executed ten seconds before the oldest that waits was sent, or five seconds ago.
    """
    if executed == "before":
        executed = 5 if waiting is None else waiting + 10
    values: dict[str, Any] = {"up_seconds": 1000.0, "slots": 2, "direct": True, "loop_lag_seconds": 0.5}
    values |= fields
    values["connected"] = bool(values.pop("connected_", True))
    values["active_count"] = fields.get("active_count", len(fields.get("active", ())))
    beacon = Beacon("w@h", "h", 1, values.pop("pool", "prefork"), interval_seconds=10, **values)
    done = None if executed is None else ExecutedHeartbeat(NOW - executed, NOW - executed + 0.01, "w@h")
    return WorkerObservation(beacon, unseen, unseen, NOW - unseen, done, waiting, connected, worked)


WORKERS = [
    ("said goodbye", worker(leaving=True), "retired"),
    ("said goodbye, and is silent since", worker(leaving=True, unseen=500), "retired"),
    ("not heard of for longer than an alarm lasts", worker(unseen=3601), "retired"),
    ("not heard of for as long as an alarm lasts", worker(unseen=3600), "lost"),
    ("no beacon, no connection", worker(unseen=20.1, connected=False), "lost"),
    ("no beacon, but still connected", worker(unseen=20.1, connected=True), "frozen"),
    ("no beacon, and the server does not tell", worker(unseen=20.1, connected=None), "silent"),
    ("a beacon that is late, but not too late", worker(unseen=20, connected=False), "consuming"),
    ("gone, with a heartbeat sent since: not wedged", worker(unseen=18, waiting=15), "consuming"),
    ("just arrived, nothing executed", worker(up_seconds=4, executed=None), "starting"),
    ("just arrived, its first heartbeat waits", worker(up_seconds=29, executed=None, waiting=25), "starting"),
    ("just arrived, what it has executed was before", worker(up_seconds=4, executed=100), "starting"),
    ("here for long, never asked", worker(executed=None), "starting"),
    ("here for long, nothing ever executed", worker(up_seconds=30, executed=None, waiting=25), "wedged"),
    ("just arrived, and has executed one", worker(up_seconds=20, executed=5), "consuming"),
    ("all answered", worker(), "consuming"),
    ("all answered, long ago: nothing was asked since", worker(executed=500), "consuming"),
    ("one waits, not for long", worker(waiting=12.4), "consuming"),
    ("one of two slots stuck", worker(active=tasks(901)), "consuming"),
    ("its loop does not tick, but it executes", worker(loop_lag_seconds=100.0), "consuming"),
    ("all slots taken, and it still executes", worker(active=tasks(9, 8)), "consuming"),
    ("without its own queue, executed one long ago", worker(direct=False, executed=400), "consuming"),
    ("without its own queue, just arrived", worker(direct=False, executed=None, up_seconds=4), "starting"),
    ("without its own queue, here for long", worker(direct=False, executed=None), "consuming"),
    ("without its own queue, all slots taken", worker(direct=False, executed=None, active=tasks(9, 8)), "busy"),
    ("without its own queue, all slots stuck", worker(direct=False, executed=None, active=tasks(902, 901)), "stuck"),
    (
        "without its own queue, its loop does not tick",
        worker(direct=False, executed=40, loop_lag_seconds=10.1),
        "frozen",
    ),
    ("without its own queue, its loop awaits a broker", worker(direct=False, connected_=0), "consuming"),
    ("nothing answered, its loop does not tick", worker(waiting=13, loop_lag_seconds=10.1), "frozen"),
    ("nothing answered, its loop ticks late", worker(waiting=13, loop_lag_seconds=10.0), "wedged"),
    (
        "nothing answered, its loop awaits a broker",
        worker(waiting=13, loop_lag_seconds=11.0, connected_=0),
        "wedged",
    ),
    ("solo, in a task", worker(waiting=13, pool="solo", loop_lag_seconds=60.0, active=tasks(60)), "busy"),
    ("solo, in a task for too long", worker(waiting=13, pool="solo", active=tasks(901)), "stuck"),
    ("solo, in no task", worker(waiting=13, pool="solo", loop_lag_seconds=60.0), "frozen"),
    ("all slots taken for too long", worker(waiting=13, active=tasks(902, 901)), "stuck"),
    ("all slots taken, one not for too long", worker(waiting=13, active=tasks(902, 900)), "busy"),
    ("all slots taken by tasks that may take long", worker(waiting=13, active=tasks(902, 901, name="long")), "busy"),
    ("all slots taken, only the oldest are listed", worker(waiting=13, active=tasks(902), active_count=2), "stuck"),
    ("all slots taken, no task listed", worker(waiting=13, active_count=2), "busy"),
    ("a heartbeat waits, a task was finished", worker(waiting=13, worked=15), "consuming"),
    ("a heartbeat waits, a task was finished too long ago", worker(waiting=13, worked=15.1), "wedged"),
    ("a task is left, none is finished", worker(waiting=13, worked=15.1, active=tasks(1), reserved=4), "wedged"),
    (
        "all slots taken, and tasks are finished",
        worker(waiting=90, worked=5, active=tasks(9, 8), reserved=9),
        "consuming",
    ),
    ("a heartbeat waits, an older one was executed late", worker(waiting=60, executed=20), "consuming"),
    ("the same, too long ago", worker(waiting=60, executed=20.1), "wedged"),
    ("its prefetch is full of tasks that may not begin", worker(waiting=60, reserved=8, held_back=8, **FULL), "busy"),
    (
        "the same, and its loop does not tick",
        worker(waiting=60, reserved=8, held_back=8, loop_lag_seconds=20.0, **FULL),
        "frozen",
    ),
    ("its prefetch is full, one task might begin", worker(waiting=60, reserved=8, held_back=7, **FULL), "wedged"),
    ("its prefetch is full of nothing", worker(waiting=60, **FULL), "wedged"),
    ("tasks may not begin, its prefetch has room", worker(waiting=60, reserved=8, held_back=8), "wedged"),
    ("one slot of two stalled, it executes", worker(stalled=1), "consuming"),
    ("one slot of two stalled, the other in a task", worker(waiting=60, stalled=1, active=tasks(40)), "busy"),
    (
        "one slot of two stalled, the other in a task for too long",
        worker(waiting=60, stalled=1, active=tasks(901)),
        "stuck",
    ),
    ("one slot of two stalled, the other free", worker(waiting=60, stalled=1), "wedged"),
    ("all slots stalled", worker(waiting=60, stalled=2), "wedged"),
    ("dear processes: one has to start first", worker(waiting=49, executed=400, tasks_per_child=1), "consuming"),
    ("dear processes: none starts", worker(waiting=50, executed=400, tasks_per_child=9), "wedged"),
    ("processes that last", worker(waiting=49, executed=400, tasks_per_child=10), "wedged"),
    (
        "a pool of its own, in a task",
        worker(waiting=60, pool="AsyncIOPool", loop_lag_seconds=60.0, active=tasks(60)),
        "busy",
    ),
    ("a pool of its own, in no task", worker(waiting=60, pool="AsyncIOPool", loop_lag_seconds=60.0), "frozen"),
    ("a pool of its own, executes nothing any more", worker(waiting=60, pool="AsyncIOPool"), "wedged"),
    ("a pool of its own that never executed a heartbeat", worker(waiting=60, executed=None, pool="X"), "consuming"),
    ("a slot is free, nothing answered", worker(waiting=13, active=tasks(902)), "wedged"),
    ("idle, nothing answered", worker(waiting=13, reserved=4), "wedged"),
]


@pytest.mark.parametrize(("caption", "sight", "verdict"), WORKERS, ids=[row[0] for row in WORKERS])
def test_verdict_on_a_worker(caption: str, sight: WorkerObservation, verdict: str) -> None:
    """The first rule that holds decides."""
    assert worker_verdict(sight, SETTINGS) == verdict, caption


def queue(*workers: str, unserved: float = 5, took: float | None = 0.1, **fields: Any) -> QueueObservation:
    """A queue whose newest heartbeat took so many seconds."""
    done = None if took is None else ExecutedHeartbeat(NOW - 5 - took, NOW - 5, "w@h")
    return QueueObservation("q", unserved, tuple(map(WorkerVerdict, workers)), done, **fields)


QUEUES = [
    ("a worker consumes it", queue("consuming"), "consumed"),
    ("all its workers are busy", queue("busy"), "consumed"),
    ("its worker has just arrived", queue("starting"), "consumed"),
    ("its worker left, not long ago", queue(unserved=20), "consumed"),
    ("its worker left a while ago", queue(unserved=20.1), "unconsumed"),
    ("its only worker is lost", queue("lost"), "unconsumed"),
    ("one worker is lost, another consumes", queue("lost", "consuming"), "consumed"),
    ("one worker is stuck, another busy", queue("stuck", "busy"), "consumed"),
    ("its last worker said goodbye a moment ago", queue(unserved=1, left_seconds=1), "resting"),
    ("its last worker said goodbye a while ago", queue(unserved=120, left_seconds=120), "resting"),
    ("its last worker said goodbye, and none has come", queue(unserved=121, left_seconds=120.1), "unconsumed"),
    ("a worker left, and another is lost", queue("lost", left_seconds=20), "unconsumed"),
    ("a worker left, and another consumes", queue("consuming", left_seconds=20), "consumed"),
    ("it may rest, and never had a worker", queue(unserved=9e4, may_rest=True), "resting"),
    ("it may rest, and messages wait", queue(unserved=9e4, may_rest=True, untaken_seconds=119), "resting"),
    ("it may rest, and messages wait too long", queue(unserved=9e4, may_rest=True, untaken_seconds=120), "unconsumed"),
    ("it may rest, and its worker is lost", queue("lost", "silent", may_rest=True), "resting"),
    ("it may rest, its worker is lost, messages wait", queue("lost", may_rest=True, untaken_seconds=120), "unconsumed"),
    ("it may rest, but a worker takes nothing", queue("lost", "wedged", may_rest=True), "unconsumed"),
    ("it may rest, and is consumed", queue("consuming", may_rest=True), "consumed"),
    ("all are broken in some way", queue("wedged", "stuck", "frozen", "silent"), "unconsumed"),
    (
        "its worker consumes, but nothing of this queue",
        queue("consuming", unanswered_seconds=12.5, head_seconds=15.0, pending=3),
        "unconsumed",
    ),
    (
        "the same, not for long enough",
        queue("consuming", unanswered_seconds=12.5, head_seconds=14.9, pending=3),
        "consumed",
    ),
    ("the same, but all workers are busy", queue("busy", unanswered_seconds=40.0, head_seconds=40.0), "consumed"),
    ("one is busy, another starts", queue("busy", "starting", unanswered_seconds=40.0, head_seconds=40.0), "consumed"),
    ("one is busy, another lost", queue("busy", "lost", unanswered_seconds=40.0, head_seconds=40.0), "consumed"),
    ("one is busy, another idle", queue("busy", "consuming", unanswered_seconds=40.0, head_seconds=40.0), "unconsumed"),
    ("all start, again and again", queue("starting", unanswered_seconds=40.0, head_seconds=40.0), "unconsumed"),
    ("a heartbeat is gone and nothing waits", queue("consuming", unanswered_seconds=100.0, pending=0), "consumed"),
    ("a backlog that moves", queue("consuming", unanswered_seconds=40.0, head_seconds=0.0, pending=5000), "consumed"),
    ("a long backlog that moves", queue("consuming", unanswered_seconds=61.0, head_seconds=0.0, pending=5000), "slow"),
    ("the newest heartbeat took long", queue("consuming", took=61), "slow"),
    ("it took long, and none has been sent since", queue("consuming", took=61, withheld=True), "consumed"),
    ("the newest heartbeat took as long as it may", queue("consuming", took=60), "consumed"),
    ("no heartbeat is sent to it", queue("consuming", took=None, withheld=True), "consumed"),
]


@pytest.mark.parametrize(("caption", "sight", "verdict"), QUEUES, ids=[row[0] for row in QUEUES])
def test_verdict_on_a_queue(caption: str, sight: QueueObservation, verdict: str) -> None:
    """The first rule that holds decides."""
    assert queue_verdict(sight, SETTINGS) == verdict, caption


ages = st.floats(0, 10_000)
maybe_ages = st.none() | ages
sights = st.builds(
    worker,
    unseen=ages,
    waiting=maybe_ages,
    executed=maybe_ages,
    connected=st.none() | st.booleans(),
    worked=maybe_ages,
    leaving=st.booleans(),
    direct=st.booleans(),
    connected_=st.booleans(),
    pool=st.sampled_from(["prefork", "threads", "gevent", "eventlet", "solo", "AsyncIOPool", ""]),
    slots=st.integers(1, 300),
    stalled=st.integers(0, 300),
    reserved=st.integers(0, 9),
    held_back=st.integers(0, 9),
    prefetch_full=st.booleans(),
    tasks_per_child=st.none() | st.integers(1, 300),
    up_seconds=ages,
    active=st.lists(st.builds(ActiveTask, st.sampled_from(["t", "long"]), ages), max_size=4).map(tuple),
    active_count=st.integers(0, 300),
    loop_lag_seconds=maybe_ages,
)


@given(sights)
def test_every_worker_has_exactly_one_verdict(sight: WorkerObservation) -> None:
    """Whatever is seen: one verdict, a state that says so, and alarms only for what is an alarm."""
    verdict = worker_verdict(sight, SETTINGS)
    outcome = outcomes.worker_outcome(sight, verdict, SETTINGS)
    assert outcome.data["verdict"] == verdict
    fine = verdict in {"retired", "starting", "consuming", "busy"}
    assert (outcome.status is Status.ERROR) is not fine
    assert outcome.reason in {verdict.value, "slots_stuck", "forgotten"}
    judged = sight.is_judged_by_heartbeats or verdict != "consuming"
    assert (outcome.message is None) is (fine and outcome.reason == verdict and judged)
    proven = served_until(sight, verdict, NOW)
    assert proven is None or (verdict in {"starting", "consuming", "busy"} and proven <= NOW)


@given(
    st.builds(
        QueueObservation,
        name=st.just("q"),
        unserved_seconds=ages,
        workers=st.lists(st.sampled_from(WorkerVerdict), max_size=3).map(tuple),
        executed=st.none() | st.builds(ExecutedHeartbeat, st.floats(0, NOW), st.floats(0, NOW), st.just("w")),
        unanswered_seconds=maybe_ages,
        head_seconds=maybe_ages,
        pending=st.none() | st.integers(0, 9000),
        withheld=st.booleans(),
        left_seconds=maybe_ages,
        may_rest=st.booleans(),
        untaken_seconds=maybe_ages,
    )
)
def test_every_queue_has_exactly_one_verdict(sight: QueueObservation) -> None:
    """Whatever is seen: one verdict, and a state that says so."""
    verdict = queue_verdict(sight, SETTINGS)
    outcome = outcomes.queue_outcome(sight, verdict, {})
    assert (outcome.data["verdict"], outcome.reason) == (verdict, verdict)
    assert (outcome.status is Status.OK) is (verdict in {QueueVerdict.CONSUMED, QueueVerdict.RESTING})


def test_a_slot_that_is_stuck_is_a_warning_while_the_others_execute() -> None:
    """1 of 4 slots: consuming, with a warning and the count."""
    sight = worker(slots=4, active=tasks(1000, 3))
    outcome = outcomes.worker_outcome(sight, worker_verdict(sight, SETTINGS), SETTINGS)
    assert (outcome.status, outcome.reason) == (Status.WARNING, "slots_stuck")
    assert (outcome.data["verdict"], outcome.data["slots_stuck"], outcome.data["slots"]) == ("consuming", 1, 4)


@pytest.mark.parametrize(
    ("caption", "unseen", "leaving", "over"),
    [
        ("said goodbye, still shown", 600, True, False),
        ("said goodbye a while ago", 601, True, True),
        ("vanished, forgotten, still shown", 4200, False, False),
        ("vanished long ago", 4201, False, True),
    ],
)
def test_workers_go(caption: str, unseen: float, leaving: bool, over: bool) -> None:
    """`forget_after` after its goodbye, or after it was given up."""
    assert is_expired(worker(unseen=unseen, leaving=leaving), SETTINGS) is over, caption


def test_names_of_checks() -> None:
    """What a check's name may not hold is replaced, and what was different stays different."""
    assert check_name("worker", "celery@web-1.example") == "worker:celery@web-1.example"
    assert check_name("queue", "mail/urgent").startswith("queue:mail_urgent.")
    assert check_name("queue", "mail/urgent") != check_name("queue", "mail urgent")
    assert check_spec(check_name("queue", "x" * 500 + "é"), 10.0).valid_seconds == 30


def test_a_host_is_not_judged_by_a_moment() -> None:
    """Its numbers must be high for a while; a worker's and a queue's state needs no second look."""
    assert check_spec("host:h", 10.0).for_seconds == 60
    assert check_spec("worker:w", 10.0).for_seconds == check_spec("queue:q", 10.0).for_seconds == 0


def test_the_summary_says_the_worst_first() -> None:
    """An unconsumed queue is an error, if that is critical; everything else is a warning."""
    lost = outcomes.worker_outcome(worker(unseen=30), WorkerVerdict.LOST, SETTINGS)
    fine = outcomes.worker_outcome(worker(), WorkerVerdict.CONSUMING, SETTINGS)
    empty = outcomes.queue_outcome(queue(), QueueVerdict.UNCONSUMED, {})
    states = {"worker:a": lost, "worker:b": fine, "queue:q": empty, "host:h": outcomes.host_outcome("h", {}, ())}
    summary = outcomes.summary_outcome(states, suspended=False, critical=True)
    assert (summary.status, summary.reason) == (Status.ERROR, "unconsumed")
    assert summary.data == {
        "workers": {"lost": 1, "consuming": 1},
        "queues": {"unconsumed": 1},
        "slots_stuck": 0,
        "suspended": False,
        "outdated": 0,
    }
    assert summary.detail == {"unconsumed": ["q"], "lost": ["a"]}
    assert outcomes.summary_outcome(states, suspended=False, critical=False).status is Status.WARNING
    del states["queue:q"]
    assert outcomes.summary_outcome(states, suspended=False, critical=True).status is Status.WARNING


def test_a_host_is_as_bad_as_the_worst_of_its_numbers() -> None:
    """Above 90 % CPU, 85 % memory or 80 % disk is a warning, beside the number."""
    vitals = {"cpu": {"percent": 90.0, "count": 4}, "disk": {"percent": 80.1}, "connections": {"active_connections": 7}}
    outcome = outcomes.host_outcome("h", vitals, ["b", "a"])
    assert (outcome.status, outcome.reason) == (Status.WARNING, "above_threshold")
    assert outcome.data["cpu"] == {"status": "ok", "percent": 90.0, "count": 4}
    assert outcome.data["disk"] == {"status": "warning", "reason": "above_threshold", "percent": 80.1}
    assert outcome.detail == {"host": "h", "nodes": ["a", "b"]}
