"""The task around a round: what beat sends, and what is logged."""

from __future__ import annotations

import pytest
from celery import Celery
from structlog.typing import EventDict

from monitor.agent.identity import Identity
from monitor.config import Config
from monitor.config.settings import WorkerSettings
from monitor.policy.schedule import Plan
from monitor.tasks import registration, workers
from monitor.tasks.publish import Publisher
from monitor.wiring import Runtime
from tests.support.builders.workers import T, World
from tests.support.logs import capture_logs


def logged(world: World, *, enabled: bool = True) -> list[EventDict]:
    """What one run of the task logs."""
    config = Config(workers=WorkerSettings(interval=T, enabled=enabled))
    world.store.workers = world
    runtime = Runtime(config, {}, Plan([]), world.store, None, project=world.project)  # type: ignore[arg-type]
    with capture_logs() as events:
        workers._workers(Publisher(Celery()), world, runtime)
    return events


@pytest.fixture
def world() -> World:
    """A worker that consumes."""
    world = World()
    world.start("a")
    world.run(4 * T)
    world.rounds = False
    world.run(T / 2)
    return world


def test_a_round_without_news_is_quiet(world: World) -> None:
    """One line, for who debugs."""
    [event] = logged(world)
    assert (event["event"], event["log_level"], event["checks"]) == ("workers.judged", "debug", 3)


def test_changes_are_news(world: World) -> None:
    """Each with the transition's id, the reason and what is said of it."""
    world.nodes["a"].alive = world.nodes["a"].connected = False
    world.rounds = True
    world.run(T)
    world.rounds = False
    found = []
    for _ in range(5):
        found += [event for event in logged(world) if event["event"] == "check.changed"]
        world.run(T / 2)
    lost = next(event for event in found if event["check"] == "worker:a")
    assert (lost["was"], lost["now"], lost["reason"], lost["log_level"]) == ("ok", "error", "lost", "info")
    assert "killed" in lost["message"]
    assert lost["transition"].startswith("worker:a:")


def test_what_is_away_is_said(world: World) -> None:
    """The broker, the store; and a round that came too early."""
    world.broker_up = False
    assert [event["event"] for event in logged(world)] == ["workers.broker_unavailable", "workers.judged"]
    [early] = logged(world)
    assert (early["event"], early["reason"], early["log_level"]) == ("workers.not_judged", "early", "debug")
    world.store_up = False
    [away] = logged(world)
    assert (away["event"], away["log_level"]) == ("workers.store_unavailable", "warning")


def test_workers_that_are_not_watched(world: World) -> None:
    """Nothing is sent by beat, and a message that comes all the same does nothing."""
    assert logged(world, enabled=False) == []
    on, off = (registration.beat_schedule(Config(workers=WorkerSettings(enabled=enabled))) for enabled in (True, False))
    assert on.keys() - off.keys() == {"celery-health-monitor-workers"}
    assert on["celery-health-monitor-workers"]["schedule"] == 5.0


def test_workers_of_other_projects_are_named_once(world: World) -> None:
    """Not in each round; with the settings to change."""
    shop, blog = Identity("shop", ("shop",)), Identity("blog", ("blog",))
    world.project, world.nodes["a"].project = shop, blog
    found = []
    for _ in range(3):
        world.run(T)
        found += [event for event in logged(world) if event["event"] == "workers.ignored"]
    [event] = found
    assert (event["log_level"], event["project"], event["others"]) == ("warning", "shop", ["blog"])
    for part in ("'shop'", "'blog'", "`project`", "`key_prefix`", "`redis_url`"):
        assert part in event["message"]
