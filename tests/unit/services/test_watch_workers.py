"""What rounds conclude of what happens to workers, in virtual time: when, of whom, and of nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.agent.protocol import ActiveTask, direct_queue
from monitor.config.settings import WorkerSettings
from monitor.model.checks import Status
from monitor.policy.workers import round_state
from tests.support.builders.workers import STEP, Node, T, World


@pytest.fixture
def world() -> World:
    """Two workers of one queue, and one of another, that have been consuming for a while."""
    world = World()
    world.start("a")
    world.start("b")
    world.start("m", "mail")
    world.run(10 * T)
    assert not world.alarms
    assert [world.verdict(f"worker:{name}") for name in "abm"] == ["consuming"] * 3
    return world


def kill(node: Node) -> None:
    node.alive = node.connected = False


def stop(node: Node) -> None:
    node.alive = False


def deafen(node: Node) -> None:
    node.executes = False


def spin(node: Node) -> None:
    node.executes, node.lag = False, 3 * T


FAULTS = [("lost", kill), ("frozen", stop), ("wedged", deafen), ("frozen", spin)]


@pytest.mark.parametrize(("verdict", "fault"), FAULTS)
@pytest.mark.parametrize("phase", [0.0, 2.5, 5.0, 7.5])
def test_a_fault_is_told_of_the_right_worker_in_time(
    world: World, verdict: str, fault: Callable[[Node], None], phase: float
) -> None:
    """Within 3 intervals, whenever in an interval it happens; and the right thing at once."""
    world.run(phase)
    began = world.now
    fault(world.nodes["m"])
    world.run(4 * T)
    assert {check for _, check, _ in world.alarms} == {"worker:m", "queue:mail", "workers"}
    at = {check: at - began for at, check, _ in world.alarms}
    reasons = {check: reason for _, check, reason in world.alarms}
    assert reasons == {"worker:m": verdict, "queue:mail": "unconsumed", "workers": "unconsumed"}
    assert max(at.values()) <= 3 * T, at
    assert world.verdict("worker:m") == verdict


@pytest.mark.parametrize(("verdict", "fault"), FAULTS)
def test_recovery_is_told_in_time(world: World, verdict: str, fault: Callable[[Node], None]) -> None:
    """Within 2 intervals of the worker's restart under the same name, however much has piled up."""
    fault(world.nodes["m"])
    world.run(30 * T)
    assert world.verdict("worker:m") == verdict
    assert len(world.messages[direct_queue(world.nodes["m"].target)]) <= 5
    assert len(world.messages["mail"]) <= 5
    world.start("m", "mail")
    world.run(2 * T)
    assert world.state("worker:m").status is Status.OK
    assert world.state("queue:mail").status is Status.OK
    assert world.state("workers").status is Status.OK
    alarms = len(world.alarms)
    world.run(20 * T)
    assert world.verdict("worker:m") == "consuming"
    assert len(world.alarms) == alarms


def test_a_worker_that_thaws_is_fine_again(world: World) -> None:
    """Stopped for long, continued: it answers what has waited."""
    stop(world.nodes["m"])
    world.run(30 * T)
    world.nodes["m"].alive = True
    world.run(2 * T)
    assert world.state("worker:m").status is Status.OK


def test_nobody_can_tell_whether_it_is_connected(world: World) -> None:
    """Without permission for CLIENT LIST: silent."""
    world.tells_connections = False
    kill(world.nodes["m"])
    world.run(3 * T)
    assert world.verdict("worker:m") == "silent"


def test_a_goodbye_is_no_alarm_and_the_worker_is_forgotten(world: World) -> None:
    """One of two leaves: no alarm at all, its queue is removed, and after `forget_after` there is no trace of it."""
    target = world.nodes["a"].target
    world.messages[direct_queue(target)].append(("worker", target, 1))
    world.nodes["a"].leaving = True
    world.run(T)
    kill(world.nodes["a"])
    world.run(3 * T)
    assert world.verdict("worker:a") == "retired"
    assert direct_queue(target) not in world.messages
    del world.nodes["a"]
    world.run(world.settings.forget_after_seconds + 2 * T)
    assert "worker:a" not in world.store.states.read().states
    assert target not in world.beacons
    assert not world.alarms


def test_a_lost_worker_is_an_alarm_for_a_while_and_then_forgotten(world: World) -> None:
    """The alarm ends with a transition to ok, reason forgotten, before the state goes."""
    kill(world.nodes["a"])
    world.run(world.settings.forget_lost_after_seconds - T)
    assert world.verdict("worker:a") == "lost"
    world.run(3 * T)
    assert (world.state("worker:a").status, world.state("worker:a").result.reason) == (Status.OK, "forgotten")
    world.run(world.settings.forget_after_seconds)
    assert "worker:a" not in world.store.states.read().states


def test_a_queue_outlives_its_workers(world: World) -> None:
    """The last worker of a queue says goodbye: unconsumed after `return_within`, for a day."""
    world.nodes["m"].leaving = True
    world.run(T)
    kill(world.nodes["m"])
    world.run(world.settings.return_within_seconds + T)
    assert world.verdict("queue:mail") == "unconsumed"
    world.run(4000)
    assert world.verdict("queue:mail") == "unconsumed"
    assert "worker:m" not in world.store.states.read().states
    world.now += 86_400
    world.run(5 * T)
    assert "queue:mail" not in world.store.states.read().states
    assert world.state("workers").status is Status.OK


def test_a_rolling_restart_is_no_alarm(world: World) -> None:
    """Each worker leaves and comes back under another name, the only one of its queue within an interval."""
    for name, queue in [("a", "celery"), ("b", "celery"), ("m", "mail")]:
        world.nodes[name].leaving = True
        world.run(T / 2)
        kill(world.nodes[name])
        world.run(T)
        world.start(f"{name}2", queue)
        world.run(3 * T)
    assert not world.alarms


def test_a_consumer_that_is_cancelled(world: World) -> None:
    """The worker goes on, one of its queues is not consumed any more: the queue's alarm, not the worker's."""
    world.nodes["m"].queues = ("celery",)
    world.run(3 * T)
    assert [(check, reason) for _, check, reason in world.alarms] == [
        ("queue:mail", "unconsumed"),
        ("workers", "unconsumed"),
    ]


def test_a_queue_that_is_configured_and_never_consumed() -> None:
    """Expected from the first round on, and an alarm after the time a worker would have had to come."""
    world = World(WorkerSettings(interval=T, queues=("orders",)))
    world.start("a")
    world.run(2 * T)
    assert not world.alarms
    world.run(2 * T)
    assert world.verdict("queue:orders") == "unconsumed"


def test_long_tasks_in_every_slot_are_no_alarm_until_they_are_stuck(world: World) -> None:
    """Busy for as long as they may run, and so is their queue; then stuck."""
    world.nodes["m"].tasks = (ActiveTask("t", world.now), ActiveTask("t", world.now))
    world.run(5 * T)
    assert world.verdict("worker:m") == "busy"
    assert world.verdict("queue:mail") == "consumed"
    world.nodes["m"].tasks = (ActiveTask("t", world.now), ActiveTask("t", world.now - 895))
    world.run(4 * T)
    assert world.verdict("worker:m") == "busy"
    world.run(900)
    assert world.verdict("worker:m") == "stuck"
    assert world.verdict("queue:mail") == "unconsumed"


def test_a_worker_that_finishes_tasks_consumes_however_long_heartbeats_wait(world: World) -> None:
    """They wait behind what it has taken in advance; when nothing is finished any more, it is wedged."""
    node = world.nodes["m"]
    node.executes, node.reserved = False, 8
    for _ in range(10):
        node.done += 1
        world.run(T / 2)
    assert world.verdict("worker:m") == "consuming"
    assert not world.alarms
    world.run(3 * T)
    assert world.verdict("worker:m") == "wedged"


@pytest.mark.parametrize("latency", [0.9 * T, 1.5 * T, 4 * T])
def test_a_heartbeat_that_is_executed_late_is_progress(world: World, latency: float) -> None:
    """However late: what is executed is executed, and its queue is slow at most."""
    world.nodes["m"].latency = latency
    world.run(latency + 2 * T)  # what was sent before waits for so long, too
    world.alarms.clear()
    world.run(30 * T)
    assert world.verdict("worker:m") == "consuming"
    assert {(check, reason) for _, check, reason in world.alarms} <= {("queue:mail", "slow"), ("workers", "slow")}
    deafen(world.nodes["m"])
    world.run(3 * T)
    assert world.verdict("worker:m") == "wedged"


def limit(node: Node) -> None:
    node.executes, node.prefetch_full, node.reserved, node.held_back = False, True, 8, 8


def occupy(node: Node) -> None:
    node.executes, node.tasks = False, (ActiveTask("t", node.born_at), ActiveTask("t", node.born_at))


@pytest.mark.parametrize("fill", [limit, occupy], ids=["tasks that may not begin", "tasks that take long"])
@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_a_worker_without_room_is_busy_and_its_queue_consumed(
    world: World, fill: Callable[[Node], None], share: float
) -> None:
    """Also in the moments before: its own heartbeat was executed between two tasks, that of the queue waits."""
    node = world.nodes["m"]
    world.settings = WorkerSettings(interval=T, stuck_after=1e6, slow_after=1e6)
    fill(node)
    for _ in range(12):
        world.run((2 + share) * T)
        world.take(node, direct_queue(node.target))
    assert not world.alarms
    world.run(5 * T)
    assert (world.verdict("worker:m"), world.verdict("queue:mail")) == ("busy", "consumed")
    assert not world.alarms


def test_half_of_the_slots_stalled_is_a_warning(world: World) -> None:
    """While the others execute heartbeats, and while they execute long tasks."""
    node = world.nodes["m"]
    node.slots, node.stalled = 4, 2
    world.run(2 * T)
    assert (world.verdict("worker:m"), world.state("worker:m").result.reason) == ("consuming", "slots_stuck")
    assert world.state("worker:m").result.data["slots_stuck"] == 2
    occupy(node)
    world.run(5 * T)
    assert (world.verdict("worker:m"), world.state("worker:m").result.reason) == ("busy", "slots_stuck")
    assert {(check, reason) for _, check, reason in world.alarms} == {
        ("worker:m", "slots_stuck"),
        ("workers", "slots_stuck"),
    }


def dear(world: World) -> Node:
    """The worker of mail begins anew, with one task for each process of its pool."""
    node = world.start("m", "mail")
    node.tasks_per_child = 1
    return node


def test_dear_processes_get_few_heartbeats(world: World) -> None:
    """One for the worker and none for its queue, rarely; none at all while tasks are finished. No alarm comes of it."""
    node = dear(world)
    world.run(5 * T)
    assert (world.verdict("worker:m"), world.verdict("queue:mail")) == ("consuming", "consumed")
    world.sent.clear()
    world.run(100 * T)
    assert world.sent[direct_queue(world.nodes["m"].target)] in (3, 4)
    world.sent.clear()
    for _ in range(100):
        node.done += 1
        world.run(T)
    assert (world.sent[direct_queue(world.nodes["m"].target)], world.sent["mail"]) == (0, 0)
    assert world.state("queue:mail").result.data["withheld"] is True
    assert not world.alarms


def test_dear_processes_that_execute_nothing_are_told_of(world: World) -> None:
    """Soon when tasks wait for them; a process that starts slowly, on a busy machine, is no alarm."""
    node = dear(world)
    node.latency = 4 * T
    world.run(100 * T)
    assert world.verdict("worker:m") == "consuming"
    assert not world.alarms
    deafen(node)
    node.reserved = 3
    world.run(12 * T)
    assert (world.verdict("worker:m"), world.verdict("queue:mail")) == ("wedged", "unconsumed")


def test_a_server_that_comes_back_empty_is_no_alarm(world: World) -> None:
    """Restarted three times in 20 s, without its data; then everything is as before."""
    for _ in range(3):
        world.flush()
        world.run(20 / 3)
    world.run(10 * T)
    assert not world.alarms
    assert [world.verdict(f"worker:{name}") for name in "abm"] == ["consuming"] * 3


@pytest.mark.parametrize("seconds", [3, 8, 11, 14, 17, 30, 300])
def test_a_server_that_freezes_is_no_alarm(world: World, seconds: float) -> None:
    """Nobody is heard for a while, neither the workers nor the monitor; a worker that is lost stays lost."""
    kill(world.nodes["m"])
    world.run(4 * T)
    alarms = len(world.alarms)
    world.store_up = False
    world.run(seconds)
    world.store_up = True
    world.run(5 * T)
    assert len(world.alarms) == alarms, world.alarms[alarms:]
    assert world.verdict("worker:m") == "lost"


def test_a_server_that_restarts_with_its_data(world: World) -> None:
    """What waited is lost with it or not: nobody is blamed for not having answered; an alarm stays one."""
    deafen(world.nodes["m"])
    world.run(4 * T)
    alarms = len(world.alarms)
    world.messages.clear()
    world.restart()
    world.run(5 * T)
    assert len(world.alarms) == alarms
    assert world.verdict("worker:m") == "wedged"


def test_verdicts_are_suspended_while_the_broker_is_away(world: World) -> None:
    """The summary says so, and what is seen without the broker is still told: a worker that is killed."""
    world.broker_up = False
    world.run(10 * T)
    assert not world.alarms
    assert world.state("workers").result.data["suspended"] is True
    assert world.state("worker:a").result.data["suspended"] is True
    kill(world.nodes["a"])
    world.run(3 * T)
    assert world.verdict("worker:a") == "lost"
    world.broker_up = True
    world.run(2 * T)
    assert world.state("workers").result.data["suspended"] is False
    assert {check for _, check, _ in world.alarms} == {"worker:a", "workers"}


def test_a_monitor_that_was_away(world: World) -> None:
    """Its deployment took an hour: no alarm, and a fault after it is told in time."""
    world.rounds = False
    world.run(3600)
    world.rounds = True
    world.run(2 * T)
    assert not world.alarms
    kill(world.nodes["m"])
    world.run(3 * T)
    assert world.verdict("worker:m") == "lost"


def test_uninstrumented_workers_withhold_heartbeats_from_shared_queues(world: World) -> None:
    """None is sent to a queue that such a worker may consume, and it is judged by its other workers; configured ones
    are sent to."""
    world.strangers = frozenset({"old@h"})
    world.settings = WorkerSettings(interval=T, queues=("mail",))
    stop(world.nodes["a"])
    stop(world.nodes["b"])
    world.run(3 * T)
    before = len(world.messages["celery"])
    world.run(5 * T)
    assert len(world.messages["celery"]) == before
    assert world.state("queue:celery").result.data["withheld"] is True
    assert world.state("queue:mail").result.data["withheld"] is False
    assert world.verdict("queue:celery") == "unconsumed"


def test_garbage_in_the_notes_is_as_good_as_none(world: World) -> None:
    """A round begins anew, with patience."""
    for garbage in (b"\xff", b"[]", b'{"round_at": 1}', round_state.encode(round_state.RoundState(world.now + 1e9))):
        world.notes = garbage
        world.run(5 * T)
    assert not world.alarms


def test_a_new_queue_waits_for_its_worker_as_long_as_that_is_waited_for() -> None:
    """The store has come back empty, and a worker of another queue starts that is slow with its first heartbeat."""
    world = World()
    world.start("a")
    world.run(5 * T)
    world.flush()
    world.run(T)
    world.start("m", "mail").latency = 2.2 * T
    world.run(10 * T)
    assert not world.alarms


def test_rounds_too_close_to_one_another_are_dropped(world: World) -> None:
    """Messages of beat that had piled up."""
    world.run(T / 2)
    assert world.round().event == "dropped"


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "restart",
                    "flush",
                    "freeze",
                    "broker",
                    "deploy",
                    "recreate",
                    "scale",
                    "long",
                    "away",
                    "again",
                    "relieve",
                ]
            ),
            st.floats(1, 40),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_no_false_alarm_whatever_happens_around_healthy_workers(
    events: list[tuple[str, float]], old_agents: bool
) -> None:
    """Restarts, outages, deployments, scaling, long tasks, in any order: nobody is told anything."""
    world = World(old_agents=old_agents)
    world.start("a")
    world.start("b", "celery", "mail")
    world.start("c", "mail")
    world.run(5 * T)
    for number, (event, seconds) in enumerate(events):
        _happen(world, event, seconds, number)
        world.run(seconds)
        world.store_up = world.broker_up = world.rounds = True
        for node in world.nodes.values():
            node.tasks = ()
        world.run(3 * T if event in ("deploy", "recreate", "scale", "again", "relieve") else STEP)
    world.run(8 * T)
    assert not world.alarms
    living = [node.name for node in world.nodes.values() if node.alive]
    assert {world.verdict(f"worker:{name}") for name in living} == {"consuming"}


def _happen(world: World, event: str, seconds: float, number: int) -> None:
    match event:
        case "restart":
            world.restart()
        case "flush":
            world.flush()
        case "freeze":
            world.store_up = False
        case "broker":
            world.broker_up = False
        case "away":
            world.rounds = False
        case "scale":
            world.start(f"new{number}", "celery", "mail")
        case "long":
            for node in world.nodes.values():
                node.tasks = (ActiveTask("t", world.now), ActiveTask("t", world.now))
        case "deploy":
            old = next(node for node in world.nodes.values() if node.alive)
            old.leaving = True
            world.start(f"{old.name}.{number}", *old.queues)
            world.run(T / 2 + STEP)
            kill(old)
        case "recreate":  # every worker of a queue ends, and the new ones come some time later
            old_ones = [node for node in world.nodes.values() if node.alive and "mail" in node.queues]
            for old in old_ones:
                old.leaving = True
            world.run(T / 2 + STEP)
            for old in old_ones:
                kill(old)
            world.run(seconds)
            for old in old_ones:
                world.start(f"{old.name}.{number}", *old.queues)
        case "again":  # killed, and started under the same name
            old = next(node for key, node in world.nodes.items() if node.alive and key == node.name)
            world.start(old.name, *old.queues)
        case "relieve" if not world.old_agents:  # a rolling deployment under one name
            key, old = next((key, node) for key, node in world.nodes.items() if node.alive)
            new = world.start(old.name, *old.queues, beside=True)
            world.run(min(seconds, 3 * T))
            old.leaving = True
            world.run(T / 2 + STEP)
            kill(old)
            del world.nodes[key]
            world.nodes = {node.name if node is new else each: node for each, node in world.nodes.items()}
