"""Which queues are expected, and what becomes of those that no worker consumes, in virtual time."""

from __future__ import annotations

import json

import pytest

from monitor.config.settings import WorkerSettings
from tests.support.builders.workers import T, World

RETURN = 120.0
SENT = ("task", "of the user", 1)
BROADCAST = "bcast.0b0c5f3e-98ab-4d5c-8f8e-0123456789ab"


def watched(*, old_agents: bool = False, **settings: object) -> World:
    """A worker of `celery`, and one of `video`, that have been consuming for a while."""
    world = World(WorkerSettings.model_validate({"interval": T, **settings}), old_agents=old_agents)
    world.start("main")
    world.start("video", "video")
    world.run(10 * T)
    assert (world.verdict("queue:celery"), world.verdict("queue:video")) == ("consumed", "consumed")
    assert not world.alarms
    return world


def leave(world: World, name: str = "video") -> None:
    """A worker is asked to end: it says goodbye, and is gone a moment later."""
    world.nodes[name].leaving = True
    world.nodes[name].beacon_at = 0.0
    world.run(1)
    world.nodes[name].alive = world.nodes[name].connected = False


def kill(world: World, name: str = "video") -> None:
    """It ends without a goodbye."""
    world.nodes[name].alive = world.nodes[name].connected = False


def run_and_watch_nothing_waits(world: World, seconds: float, queue: str = "video") -> None:
    """Let time pass; nobody puts anything into the queue."""
    for _ in range(round(seconds)):
        world.run(1)
        assert not world.messages[queue]


def test_a_queue_rests_after_the_goodbye_of_its_last_worker() -> None:
    """Ok, and empty, for `return_within`; then an error, and still empty."""
    world = watched()
    leave(world)
    run_and_watch_nothing_waits(world, T)
    assert world.verdict("queue:video") == "resting"
    assert world.state("queue:video").result.data["latency_ms"] is None
    run_and_watch_nothing_waits(world, RETURN - 2 * T)
    assert world.verdict("queue:video") == "resting"
    assert world.state("workers").result.data["queues"] == {"consumed": 1, "resting": 1}
    assert not world.alarms
    run_and_watch_nothing_waits(world, 2 * T)
    assert [(check, reason) for _, check, reason in world.alarms] == [
        ("queue:video", "unconsumed"),
        ("workers", "unconsumed"),
    ]
    run_and_watch_nothing_waits(world, 3600)
    assert world.verdict("queue:video") == "unconsumed"
    world.start("video", "video")
    world.run(2 * T)
    assert world.verdict("queue:video") == "consumed"


def test_the_time_counts_from_the_last_goodbye() -> None:
    """Two workers of one queue: what the first one said is no excuse for what happens to the second."""
    world = watched()
    world.start("other", "video")
    world.run(5 * T)
    leave(world)
    world.run(RETURN / 2)
    leave(world, "other")
    world.run(RETURN - T)
    assert world.verdict("queue:video") == "resting"
    world.run(2 * T)
    assert world.verdict("queue:video") == "unconsumed"


@pytest.mark.parametrize("worse", ["killed", "cancelled"])
def test_a_goodbye_excuses_no_other_worker(worse: str) -> None:
    """One of two leaves; the other one is killed, or does not consume the queue any more: an error as fast as ever."""
    world = watched()
    world.start("other", "video")
    world.run(5 * T)
    leave(world)
    world.run(T)
    if worse == "killed":
        kill(world, "other")
    else:
        world.nodes["other"].queues = ("celery",)
    world.run(3 * T)
    assert world.verdict("queue:video") == "unconsumed"


def test_a_worker_that_failed_before_its_goodbye() -> None:
    """Wedged, and then restarted by its probe: the alarm lasts until somebody consumes the queue."""
    world = watched()
    world.nodes["video"].executes = False
    world.run(5 * T)
    assert world.verdict("queue:video") == "unconsumed"
    alarms = len(world.alarms)
    leave(world)
    world.run(3 * T)
    assert world.verdict("queue:video") == "unconsumed"
    world.start("video", "video")
    world.run(2 * T)
    assert world.verdict("queue:video") == "consumed"
    assert len(world.alarms) == alarms


@pytest.mark.parametrize("goodbye", ["read", "read late", "overwritten"])
def test_a_worker_that_is_restarted_without_its_queue(goodbye: str) -> None:
    """The old one says goodbye, the new one has its name and consumes something else: an error after `return_within`,
    whether the goodbye was read before the new one's beacon came, or with it, or was overwritten by it. That is so
    with agents of earlier versions, whose instances share one beacon.
    """
    world = watched(old_agents=goodbye == "overwritten")
    began = world.now
    if goodbye != "overwritten":
        leave(world)
    if goodbye == "read":
        world.run(T)
    world.start("video", "celery")
    world.run(5 * T)
    assert world.verdict("worker:video") == "consuming"
    assert world.verdict("queue:video") == "resting"
    assert not world.alarms
    world.run(RETURN)
    at, check, reason = world.alarms[0]
    assert (check, reason) == ("queue:video", "unconsumed")
    assert RETURN - T <= at - began <= RETURN + 2 * T


def test_a_restart_takes_its_time() -> None:
    """Its image is pulled for a minute and a half: no alarm."""
    world = watched()
    leave(world)
    world.run(90)
    world.start("video.2", "video")
    world.run(10 * T)
    assert world.verdict("queue:video") == "consumed"
    assert not world.alarms


def test_a_goodbye_just_after_the_store_came_back_empty() -> None:
    """The queue is new to the round that reads the goodbye: it was served until then, and rests like any other."""
    world = watched()
    world.flush()
    leave(world)
    run_and_watch_nothing_waits(world, RETURN - 2 * T)
    assert world.verdict("queue:video") == "resting"
    assert not world.alarms


def test_a_queue_that_may_rest() -> None:
    """Without a worker for a day: ok while nothing waits, an error once something has waited for `return_within`."""
    world = watched(may_rest=("vid*",))
    leave(world)
    run_and_watch_nothing_waits(world, 7200)
    assert world.verdict("queue:video") == "resting"
    world.messages["video"].append(SENT)
    world.run(RETURN - T)
    assert world.verdict("queue:video") == "resting"
    assert not world.alarms
    world.run(2 * T)
    assert world.verdict("queue:video") == "unconsumed"
    world.start("video.2", "video")
    world.run(2 * T)
    assert world.verdict("queue:video") == "consumed"


def test_an_autoscaler_takes_what_waits_in_time() -> None:
    """A message every ten minutes, and a worker for it a minute later: never an alarm."""
    world = watched(may_rest=("video",))
    for number in range(5):
        leave(world)
        world.run(600)
        world.messages["video"].append(SENT)
        world.run(60)
        world.start("video", "video")
        world.run(60 + number)
    assert not world.alarms


def test_a_worker_of_a_queue_that_may_rest_is_killed() -> None:
    """The worker's alarm, not the queue's: nothing waits there. What was sent to it before is taken back."""
    world = watched(may_rest=("video",))
    kill(world)
    world.run(10 * T)
    assert world.verdict("worker:video") == "lost"
    assert world.verdict("queue:video") == "resting"
    assert not world.messages["video"]
    assert {check for _, check, _ in world.alarms} == {"worker:video", "workers"}
    assert world.state("workers").status == "warning"


def test_a_queue_that_may_rest_and_never_had_a_worker() -> None:
    """It is configured, scaled to zero from the beginning, and nothing is ever sent to it."""
    world = World(WorkerSettings(interval=T, queues=("video",), may_rest=("video",)))
    world.start("main")
    run_and_watch_nothing_waits(world, 600)
    assert world.verdict("queue:video") == "resting"
    assert not world.alarms


def test_what_a_worker_returns_when_it_ends_is_taken_back() -> None:
    """Heartbeats that it had taken in advance, long after its goodbye; what the user has sent stays."""
    world = watched()
    leave(world)
    world.run(3 * T)
    world.messages["video"].extend([("queue", "video", 1), ("queue", "video", 2)])
    world.run(T)
    assert not world.messages["video"]
    world.messages["video"].extend([SENT, ("queue", "video", 3), SENT])
    world.run(T)
    assert list(world.messages["video"]) == [SENT, SENT]


@pytest.mark.parametrize("end", [leave, kill])
def test_nothing_is_sent_to_a_queue_that_nobody_consumes(end: object) -> None:
    """Neither after a goodbye, nor once a worker is known to be lost."""
    world = watched(queues=("video",))
    end(world)  # type: ignore[operator]
    world.run(4 * T)
    run_and_watch_nothing_waits(world, 4000)
    assert "worker:video" not in world.beacons


def test_a_configured_queue_without_any_agent_gets_one_heartbeat_at_a_time() -> None:
    """None of its workers tells of itself; it is unconsumed until one of them executes the heartbeat."""
    world = World(WorkerSettings(interval=T, queues=("orders",)))
    world.start("main")
    most = 0
    for _ in range(60):
        world.run(T / 2)
        most = max(most, len(world.messages["orders"]))
    assert most == 1
    assert world.verdict("queue:orders") == "unconsumed"
    world.start("unknown", "orders").instrumented = False
    world.run(2 * T)
    assert world.verdict("queue:orders") == "consumed"
    world.run(10 * T)
    assert world.verdict("queue:orders") == "consumed"
    world.nodes["unknown"].alive = False
    world.run(5 * T)
    assert world.verdict("queue:orders") == "unconsumed"
    assert len(world.messages["orders"]) == 1


def test_a_beat_that_listens_to_remote_control_is_no_worker() -> None:
    """Celery 5.7 binds `celerybeat@HOST`: heartbeats go on. Any other name that no beacon has withholds them."""
    world = watched()
    world.strangers = frozenset({"celerybeat@h"})
    world.run(3 * T)
    assert world.state("queue:celery").result.data["withheld"] is False
    world.strangers = frozenset({"celerybeat@h", "celery@h"})
    world.run(3 * T)
    assert world.state("queue:celery").result.data["withheld"] is True


def test_a_queue_that_lives_with_one_process_is_not_expected() -> None:
    """It has no check and gets no heartbeat, neither while its worker is there nor after it; deploy after deploy."""
    world = World()
    for number in range(4):
        name = f"bcast.{number}"
        world.start("a", "celery", name).short_lived = {name: "fanout"}
        world.run(10 * T)
        leave(world, "a")
        world.run(T)
    world.start("a")
    world.run(RETURN + 5 * T)
    assert [check for check in world.store.states.read().states if check.startswith("queue:")] == ["queue:celery"]
    assert not any(waiting for queue, waiting in world.messages.items() if queue.startswith("bcast"))
    assert not world.alarms


def test_a_queue_is_lasting_when_any_of_its_workers_says_so() -> None:
    """Its name may contain that of a host that another of its workers does not run on."""
    world = World()
    world.start("a", "mail-1").short_lived = {"mail-1": "node"}
    world.start("b", "mail-1")
    world.run(5 * T)
    assert world.verdict("queue:mail-1") == "consumed"


def test_a_configured_queue_is_expected_whatever_it_is() -> None:
    """But none of a fanout exchange is sent a heartbeat: on Redis it is no list. It is judged by its workers."""
    world = World(WorkerSettings(interval=T, queues=("expiring", "fanout")))
    world.start("a", "expiring", "fanout").short_lived = {"expiring": "expires", "fanout": "fanout"}
    world.run(10 * T)
    assert (world.verdict("queue:expiring"), world.verdict("queue:fanout")) == ("consumed", "consumed")
    assert not world.messages["fanout"]
    assert (world.state("queue:fanout").result.data["withheld"], world.alarms) == (True, [])
    leave(world, "a")
    world.run(RETURN + 2 * T)
    assert (world.verdict("queue:expiring"), world.verdict("queue:fanout")) == ("unconsumed", "unconsumed")
    assert not world.messages["fanout"]


def test_queues_that_an_earlier_version_expected() -> None:
    """Its notes hold what they held; a queue whose name kombu makes for one process is expected no more."""
    world = watched()
    leave(world)
    world.run(T)
    notes = json.loads(world.notes)
    notes["queues"] = {queue: values[:4] for queue, values in notes["queues"].items()}
    for queue in (BROADCAST, f"reload.{BROADCAST[6:]}", "celery@web.dq2", "reports"):
        notes["queues"][queue] = [world.now, world.now, None, None]
        notes["written"].append(f"queue:{queue}")
        notes["asked"][f"queue:{queue}"] = [world.now]
        world.messages[queue].append(("queue", queue, 1))
    world.notes = json.dumps(notes).encode()
    world.run(5 * T)
    expected = {check for check in world.store.states.read().states if check.startswith("queue:")}
    assert expected == {"queue:celery", "queue:video", "queue:reports"}
    assert world.verdict("queue:reports") == "unconsumed"
    assert not any(world.messages.values())
    assert not [target for target in json.loads(world.notes)["asked"] if target.startswith("queue:bcast")]


def test_an_agent_that_does_not_say_which_queues_are_lasting() -> None:
    """All are, but those whose names kombu and Celery make for one process."""
    world = World()
    world.start("a", "celery", BROADCAST, "celery@web.dq2", "reports").short_lived = None  # type: ignore[assignment]
    world.run(5 * T)
    expected = {check for check in world.store.states.read().states if check.startswith("queue:")}
    assert expected == {"queue:celery", "queue:reports"}
    assert not world.messages[BROADCAST]
