"""Several workers under one node name, by mistake or for a moment: what rounds conclude, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from monitor.agent.protocol import ActiveTask, direct_queue
from monitor.model.checks import Status
from monitor.ports.workers import BrokerUnavailable
from tests.support.builders.workers import STEP, Node, T, World
from tests.unit.services.test_watch_workers import deafen, kill, stop


@pytest.fixture
def world() -> World:
    """Two workers under the name `m`, that have consumed side by side for a minute."""
    world = World()
    world.start("a")
    world.start("m", "mail")
    world.start("m", "mail", beside=True)
    world.run(8 * T)
    return world


def twins(world: World) -> tuple[Node, Node]:
    first, second = (node for node in world.nodes.values() if node.name == "m")
    return first, second


def detail(world: World) -> Mapping[str, Any]:
    return world.state("worker:m").result.detail


def test_two_that_live_side_by_side_are_a_warning_that_names_both(world: World) -> None:
    """One check, of both: each gets heartbeats of its own, and readiness is not touched."""
    state, (first, second) = world.state("worker:m"), twins(world)
    assert (state.status, state.result.reason) == (Status.WARNING, "duplicate")
    assert [(each["instance"], each["host"], each["pid"], each["verdict"]) for each in detail(world)["instances"]] == [
        (node.instance, node.host, node.pid, "consuming") for node in (first, second)
    ]
    for node in (first, second):
        assert f"host {node.host} pid {node.pid}" in str(state.result.message)
        assert world.executed[f"worker:{node.target}"].instance == node.instance
    assert world.state("queue:mail").result.data["workers"] == 2
    assert world.state("queue:mail").status is Status.OK
    assert world.state("workers").result.reason == "duplicate"
    assert len(world.state("worker:a").result.detail["instances"]) == 1
    assert [(check, reason) for _, check, reason in world.alarms] == [
        ("worker:m", "duplicate"),
        ("workers", "duplicate"),
    ]


@pytest.mark.parametrize("which", [0, 1], ids=["the first", "the second"])
@pytest.mark.parametrize(("verdict", "fault"), [("lost", kill), ("frozen", stop), ("wedged", deafen)])
def test_the_healthy_one_does_not_answer_for_the_other(
    world: World, which: int, verdict: str, fault: Callable[[Node], None]
) -> None:
    """The worst of them is the worker; its queue is served by the other one."""
    broken = twins(world)[which]
    fault(broken)
    world.run(3.5 * T)
    state = world.state("worker:m")
    assert (state.status, state.result.reason) == (Status.ERROR, verdict)
    assert (detail(world)["host"], detail(world)["pid"]) == (broken.host, broken.pid)
    assert sorted(each["verdict"] for each in detail(world)["instances"]) == sorted([verdict, "consuming"])
    assert world.state("queue:mail").status is Status.OK
    assert world.state("queue:mail").result.data["workers"] == 1
    if fault is deafen:
        assert all(f"host {node.host} pid {node.pid}" in str(state.result.message) for node in twins(world))
    world.run(300)
    assert world.verdict("worker:m") == verdict


def test_one_that_leaves_ends_the_warning(world: World) -> None:
    """As soon as it has said goodbye; its queue and, later, all that is known of it are removed."""
    leaver = twins(world)[1]
    leaver.leaving = True
    world.run(T)
    assert world.verdict("worker:m") == "consuming"
    assert world.state("worker:m").status is Status.OK
    kill(leaver)
    world.messages[direct_queue(leaver.target)].append(("worker", leaver.target, 1))
    world.run(3 * T)
    assert direct_queue(leaver.target) not in world.messages
    world.run(world.settings.forget_after_seconds + 2 * T)
    assert leaver.target not in world.beacons
    assert len(world.alarms) == 2


@pytest.mark.parametrize("seconds", [STEP, 3.0, T, 3 * T, 300.0])
def test_a_worker_that_was_killed_and_comes_back(seconds: float) -> None:
    """The new one replaces the old one: no duplicate, no loss beyond the time it was away, and nothing left behind."""
    world = World()
    world.start("a")
    old = world.start("m", "mail")
    world.run(5 * T)
    kill(old)
    world.run(seconds)
    alarms = len(world.alarms)
    new = world.start("m", "mail")
    world.run(10 * T)
    assert not [reason for _, check, reason in world.alarms[alarms:] if check == "worker:m"]
    assert (world.state("worker:m").status, world.verdict("worker:m")) == (Status.OK, "consuming")
    assert [(each["instance"], each["verdict"]) for each in detail(world)["instances"]] == [(new.instance, "consuming")]
    assert set(world.beacons) == {world.nodes["a"].target, new.target}
    assert direct_queue(old.target) not in world.messages
    if seconds <= T:
        assert not world.alarms


def test_a_crash_loop_leaves_nothing_behind() -> None:
    """Twenty starts, a few seconds apart: one entry, no queue of the earlier ones."""
    world = World()
    world.start("m", "mail")
    for _ in range(20):
        world.run(7)
        world.start("m", "mail")
    world.run(5 * T)
    assert list(world.beacons) == [world.nodes["m"].target]
    assert [queue for queue in world.messages if queue.startswith("monitor.worker.")] == [
        direct_queue(world.nodes["m"].target)
    ]
    assert "lost" not in {reason for _, _, reason in world.alarms}
    assert "duplicate" not in {reason for _, _, reason in world.alarms}


@pytest.mark.parametrize("seconds", [1.0, T, 4 * T, 5.5 * T])
@pytest.mark.parametrize("says_goodbye", [True, False])
def test_a_rolling_deployment_under_one_name(seconds: float, says_goodbye: bool) -> None:
    """The new one lives beside the old one for a while, which then leaves, or is killed: no alarm."""
    world = World()
    old = world.start("m", "mail")
    world.run(5 * T)
    world.start("m", "mail", beside=True)
    world.run(seconds)
    if says_goodbye:
        old.leaving = True
        world.run(T / 2 + STEP)
    kill(old)
    world.run(10 * T)
    assert not world.alarms
    assert world.verdict("worker:m") == "consuming"


def test_a_stuck_worker_that_is_restarted(world: World) -> None:
    """What the old one said last is not said of the new one."""
    world = World()
    old = world.start("m", "mail")
    old.tasks = (ActiveTask("t", world.now - 2000), ActiveTask("t", world.now - 2000))
    world.run(5 * T)
    assert world.verdict("worker:m") == "stuck"
    world.start("m", "mail")
    world.run(1.5 * T)
    assert world.state("worker:m").status is Status.OK


def test_a_frozen_one_is_not_replaced() -> None:
    """It holds its tasks, though a new one was started: that is said until its connection is gone."""
    world = World()
    old = world.start("m", "mail")
    world.run(5 * T)
    stop(old)
    world.run(5 * T)
    world.start("m", "mail", beside=True)
    world.run(5 * T)
    assert world.verdict("worker:m") == "frozen"
    kill(old)
    world.run(T)
    assert world.verdict("worker:m") == "consuming"
    assert old.target not in world.beacons


def test_without_permission_to_list_connections(world: World) -> None:
    """Killed and restarted: that one was replaced can be told all the same."""
    world.tells_connections = False
    for node in twins(world):
        kill(node)
    world.run(3 * T)
    assert world.verdict("worker:m") == "silent"
    world.start("m", "mail")
    world.run(3 * T)
    assert world.verdict("worker:m") == "consuming"
    assert len(world.beacons) == 2


def test_agents_of_an_earlier_version_are_sent_to_the_queue_of_their_name() -> None:
    """Their beacons name no queue; beside them one of this version under the same name is judged by itself."""
    world = World(old_agents=True)
    old = world.start("m", "mail")
    world.run(3 * T)
    assert world.executed["worker:m"].sent_at > world.now - 2 * T
    world.old_agents = False
    new = world.start("m", "mail", beside=True)
    deafen(old)
    world.run(4 * T)
    assert world.verdict("worker:m") == "wedged"
    assert detail(world)["host"] == old.host
    old.leaving = True
    world.run(T)
    kill(old)
    world.run(3 * T)
    assert world.verdict("worker:m") == "consuming"
    assert world.executed[f"worker:{new.target}"].instance == new.instance


def test_a_queue_that_cannot_be_removed_is_removed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else would ever do it: its name never comes back."""
    world = World()
    old = world.start("m", "mail")
    world.run(3 * T)
    kill(old)
    world.run(T)
    world.start("m", "mail")
    world.messages[direct_queue(old.target)].append(("worker", old.target, 1))

    def refuse(self: World, queues: object) -> None:
        raise BrokerUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(World, "remove", refuse)
        world.run(5 * T)
        assert old.target in world.beacons
    assert direct_queue(old.target) in world.messages
    world.run(5 * T)
    assert direct_queue(old.target) not in world.messages
    assert old.target not in world.beacons


def test_a_broker_that_never_removes_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its monitor may not do it: instances are forgotten all the same, after an hour."""

    def refuse(self: World, queues: object) -> None:
        raise BrokerUnavailable("NOPERM")

    monkeypatch.setattr(World, "remove", refuse)
    world = World()
    for _ in range(20):
        world.start("m", "mail")
        world.run(5 * T)
    assert len(world.beacons) > 10
    world.run(3700)
    assert list(world.beacons) == [world.nodes["m"].target]


def test_nothing_is_waited_for_of_a_worker_that_is_not_known() -> None:
    """What was asked of one that somebody else has removed from the store does not stay in the round's notes."""
    world = World()
    deaf = world.start("m", "mail")
    deafen(deaf)
    world.run(4 * T)
    kill(deaf)
    world.beacons.clear()
    world.run(2 * T)
    assert deaf.target.encode() not in world.notes
