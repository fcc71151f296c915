"""Rounds in a store into which workers of another project write as well: those are ignored."""

from __future__ import annotations

import pytest

from monitor.agent.identity import Identity
from monitor.model.checks import Status
from monitor.services.watch_workers import WorkerRound
from tests.support.builders.workers import T, World

SHOP, BLOG = Identity("shop", ("shop",), "config"), Identity("blog", ("blog",), "config")


@pytest.fixture
def world() -> World:
    """The shop's monitor: the store is the shop's."""
    world = World(project=SHOP, owner=SHOP)
    world.start("a@h", "celery").project = SHOP
    return world


def next_round(world: World) -> WorkerRound:
    """The round that is due next."""
    world.rounds = False
    world.run(T)
    world.rounds = True
    return world.round()


def test_workers_of_another_project_are_ignored(world: World) -> None:
    """Neither they nor their queues nor their host become checks, and a stopped one is no alarm."""
    other = world.start("b@h", "celery", "mail")
    other.project = BLOG
    world.run(6 * T)
    assert {*world.store.states.read().states} == {"worker:a@h", "queue:celery", "workers"}
    assert world.state("queue:celery").result.data["workers"] == 1
    other.alive = other.executes = False
    world.run(20 * T)
    assert world.alarms == []
    assert next_round(world).ignored == ("blog",)


def test_workers_of_an_earlier_version_are_not(world: World) -> None:
    """Their beacons name no project. Nor are those of which the monitor's roles know another part of the identity."""
    world.start("old@h", "celery")
    world.start("new@h", "celery").project = Identity("shop", ("shop",), "worker_settings")
    world.start("part@h", "celery").project = Identity("config", (), "config")
    world.run(6 * T)
    for node in ("old", "new", "part"):
        assert world.verdict(f"worker:{node}@h") == "consuming"


def test_they_are_no_strangers_in_the_broker(world: World) -> None:
    """A worker of another project on the same broker has the agent: heartbeats to our queues are not withheld."""
    world.start("b@h", "mail").project = BLOG
    world.run(6 * T)
    assert not world.state("queue:celery").result.data.get("withheld")


def test_what_they_leave_behind_is_removed(world: World) -> None:
    """No other monitor may ever do so."""
    other = world.start("b@h", "mail")
    other.project = BLOG
    world.run(2 * T)
    other.alive = other.executes = False
    world.run(world.settings.forget_lost_after_seconds + 2 * T)
    assert {seen.beacon.node for seen in world.beacons.values()} == {"a@h"}


def test_a_monitor_that_belongs_to_no_project_judges_all(world: World) -> None:
    """It cannot know whose workers it is there for."""
    world.project = world.owner = Identity("standalone-1", random=True)
    world.start("b@h", "mail").project = BLOG
    world.run(6 * T)
    assert {"worker:a@h", "worker:b@h"} <= {*world.store.states.read().states}


def test_a_store_that_was_taken_over_begins_anew(world: World) -> None:
    """The queues of the project that had it are not expected any more; its checks end without an alarm."""
    world.start("b@h", "mail").project = BLOG
    world.run(6 * T)
    world.owner = BLOG
    assert next_round(world).reason == "other_project"
    world.project = BLOG
    world.run(20 * T)
    assert {*world.store.states.read().states} == {"worker:b@h", "queue:mail", "workers"}
    assert world.state("workers").result.status is Status.OK
    assert world.alarms == []


def test_a_store_without_a_name_gets_one(world: World) -> None:
    """One of an earlier version: what was noted in it is kept."""
    world.owner = None
    world.run(6 * T)
    world.start("c@h", "mail")
    world.run(2 * T)
    world.nodes["c@h"].leaving = True
    world.owner = SHOP
    world.run(2 * T)
    assert "queue:mail" in world.store.states.read().states, "it is expected though no worker declares it"
