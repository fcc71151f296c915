"""What hangs on the ticks of somebody else's scheduler: what is sent, how often, and when nothing is."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from celery.beat import PersistentScheduler, Scheduler
from redbeat import RedBeatScheduler

from monitor.agent import former_entries
from monitor.tasks.publish import Publisher
from monitor.tasks.registration import beat_entry
from monitor.tasks.ticks import TickSender, TimeLimitedPublisher, send_at_each_tick
from tests.support.processes import free_port, wait_for
from tests.support.redis_server import RedisServer, StartRedis


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def build_app(broker: str = "memory://") -> Celery:
    """A project's application."""
    app = Celery("shop", broker=broker, set_as_current=False)
    app.conf.redbeat_redis_url = broker
    app.conf.redbeat_key_prefix = f"redbeat-{uuid.uuid4().hex}:"
    return app


def entry(interval_seconds: float = 0.5, queue: str | None = None) -> dict[str, Any]:
    """An entry of ours, for a queue of its own."""
    return beat_entry("monitor.tasks.dispatch", interval_seconds, queue or uuid.uuid4().hex)


def queue_of(an_entry: dict[str, Any]) -> str:
    queue: str = an_entry["options"]["queue"]
    return queue


def test_each_entry_is_sent_at_its_interval() -> None:
    """At once, then at each interval, once after a long pause; the next call is wanted within half a second."""
    clock, app = Clock(), build_app()
    often, seldom = entry(0.2), entry(60.0)
    publisher = Publisher(app)
    sender = TickSender({"often": often, "seldom": seldom}, publisher, clock)

    def sent() -> tuple[int, int]:
        return publisher.waiting(queue_of(often)), publisher.waiting(queue_of(seldom))

    assert sender.send_due() == pytest.approx(0.2)
    assert sent() == (1, 1)
    clock.now += 0.1
    assert sender.send_due() == pytest.approx(0.1)
    assert sent() == (1, 1)
    clock.now += 0.1
    sender.send_due()
    assert sent() == (2, 1)
    clock.now += 59.8
    sender.send_due()
    assert sent() == (3, 2)
    assert TickSender({"seldom": seldom}, publisher, clock).send_due() == 0.5


def test_no_more_than_five_wait() -> None:
    """A message that nobody takes does not pile up."""
    clock, app, often = Clock(), build_app(), entry()
    sender = TickSender({"often": often}, Publisher(app), clock)
    for _ in range(20):
        clock.now += 0.5
        sender.send_due()
    assert Publisher(app).waiting(queue_of(often)) == 5


def test_a_broker_that_comes_back_gets_its_messages(start_redis: StartRedis) -> None:
    """While it is away a call takes no longer than its limits and raises nothing; afterwards all goes on."""
    server, clock, often = start_redis(), Clock(), entry()
    sender = TickSender({"often": often}, TimeLimitedPublisher(build_app(server.url)), clock)
    sender.send_due()
    server.kill()
    for _ in range(3):
        clock.now += 10
        assert sender.send_due() <= 0.5
    server.start()
    clock.now += 10
    sender.send_due()
    with server.client() as client:
        assert client.llen(queue_of(often)) == 1


def test_a_broker_that_was_never_there_stops_nothing() -> None:
    """The project's beat waits for its own broker as it likes: not for our sends."""
    clock = Clock()
    sender = TickSender(
        {"often": entry()}, TimeLimitedPublisher(build_app(f"redis://127.0.0.1:{free_port()}/0")), clock
    )
    assert sender.send_due() <= 0.5
    clock.now += 1
    assert sender.send_due() <= 0.5


def ticking(scheduler: Any, app: Celery, entries: dict[str, Any]) -> Callable[[], float]:
    """Hang the entries on a scheduler as a project's beat does, and return its tick."""
    former_entries.remove_at_first_tick(scheduler)
    send_at_each_tick(scheduler, app, entries)
    tick: Callable[[], float] = scheduler.tick
    return tick


def test_a_tick_sends_and_comes_back_soon(redis_server: RedisServer) -> None:
    """The scheduler's own delay of five minutes becomes half a second; nothing is in its schedule."""
    app, often = build_app(redis_server.url), entry()
    scheduler = Scheduler(app)
    with redis_server.client() as client:
        tick = ticking(scheduler, app, {"celery-health-monitor": often})
        send_at_each_tick(scheduler, app, {"celery-health-monitor": often})  # a second call changes nothing
        assert client.llen(queue_of(often)) == 0, "a beat that does not tick sends nothing"
        assert 0 < tick() <= 0.5
        assert client.llen(queue_of(often)) == 1
    assert list(scheduler.schedule) == []


def test_a_redbeat_without_its_lock_sends_nothing(redis_server: RedisServer) -> None:
    """Its tick raises before anything is sent."""
    app, often = build_app(redis_server.url), entry()
    scheduler = RedBeatScheduler(app)
    tick = ticking(scheduler, app, {"celery-health-monitor": often})
    with redis_server.client() as client:
        with pytest.raises(AttributeError):
            tick()
        assert client.llen(queue_of(often)) == 0
        scheduler.lock = client.lock(scheduler.lock_key, timeout=60)
        assert scheduler.lock.acquire()
        assert 0 < tick() <= 0.5
        assert client.llen(queue_of(often)) == 1
        client.delete(scheduler.lock_key)
        with pytest.raises(Exception, match=r"(?i)lock"):
            tick()
        assert client.llen(queue_of(often)) == 1


@pytest.mark.parametrize("kind", ["redbeat", "file"])
def test_entries_of_earlier_versions_are_removed_before_the_first_tick(
    kind: str, redis_server: RedisServer, tmp_path: Any
) -> None:
    """What was stored is gone, is not sent once, and the project's own entry stays."""
    app = build_app(redis_server.url)
    stored, own = entry(0.001), {"task": "shop.restock", "schedule": 3600.0}

    def scheduler() -> Any:
        if kind == "redbeat":
            return RedBeatScheduler(app, lock_key=None)
        return PersistentScheduler(app, schedule_filename=str(tmp_path / "schedule"))

    app.conf.redbeat_lock_key = None
    app.conf.beat_schedule = {"own": own}
    earlier = scheduler()
    earlier.lock_key = None
    earlier.update_from_dict(dict.fromkeys(former_entries.NAMES, stored))
    earlier.sync()
    earlier.close()
    later = scheduler()
    later.lock_key = None
    if kind == "redbeat":
        wait_for(lambda: set(former_entries.NAMES) <= set(later.schedule), what="the stored entries are due")
    former_entries.remove_at_first_tick(later)
    later.tick()
    assert not set(former_entries.NAMES) & set(later.schedule)
    with redis_server.client() as client:
        assert client.llen(queue_of(stored)) == 0
        if kind == "redbeat":
            prefix = app.conf.redbeat_key_prefix
            assert [key.decode() for key in client.scan_iter(f"{prefix}celery-health*")] == []
            scheduled = {key.decode().removeprefix(prefix) for key in client.zrange(f"{prefix}:schedule", 0, -1)}
            assert "own" in scheduled
            assert not scheduled & set(former_entries.NAMES)
    later.close()
