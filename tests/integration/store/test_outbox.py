"""Decided once, delivered in order: what the outbox keeps, in memory, on Redis and on Valkey."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from monitor.config import ChannelSpec, Config
from monitor.model.alerts import Alert
from monitor.model.checks import Notice, NoticeKind, Status
from monitor.ports.alerts import Delivery, DeliveryFailure, PendingDecisions
from monitor.services import alerting
from monitor.store.memory.store import MemoryStore
from monitor.store.redis.store import RedisStore
from tests.support.builders.alerting import channel
from tests.support.processes import wait_for
from tests.support.redis_server import BINARIES, RedisServer
from tests.system.services.test_alert_delivery import change

LEASE = 30.0


@pytest.fixture(params=BINARIES)
def server(request: pytest.FixtureRequest, shared_redis: Callable[[str], RedisServer]) -> RedisServer:
    """The session's Redis, and then its Valkey."""
    return shared_redis(request.param)


@pytest.fixture
def redis_store(server: RedisServer, key_prefix: str) -> Iterator[RedisStore]:
    """A store of our own, over which somebody has decided already: what happens from now on is told."""
    store = RedisStore(server.url, prefix=key_prefix)
    alerting.decide(Config(), store=store.states, outbox=store.alerts)
    yield store
    store.close()


@pytest.fixture(params=["memory", *BINARIES])
def store(request: pytest.FixtureRequest, shared_redis: Callable[[str], RedisServer], key_prefix: str) -> Iterator[Any]:
    """The same of every store there is, one after the other."""
    if request.param == "memory":
        store: Any = MemoryStore()
    else:
        store = RedisStore(shared_redis(request.param).url, prefix=key_prefix)
    alerting.decide(Config(), store=store.states, outbox=store.alerts)
    yield store
    store.close()


def configured(*channels: ChannelSpec) -> Config:
    """These channels, or one that takes everything."""
    return Config(channels={one.name: one for one in channels or (channel(),)}, alerting={"flap_changes": 1000})


def decide(store: RedisStore, *channels: ChannelSpec) -> list[str]:
    """The ids of what is to be told now, each with its channel."""
    told = alerting.decide(configured(*channels), store=store.states, outbox=store.alerts)
    return [f"{name} {kind(notice)}" for name, notice in told]


def kind(notice: Notice) -> str:
    """Which check, and what of it."""
    return f"{notice.check} {notice.kind.value}"


def look(store: RedisStore) -> PendingDecisions:
    """What is undecided."""
    seen = store.alerts.undecided()
    assert seen is not None
    return seen


def put(store: RedisStore, *checks: str, at: float | None = None) -> list[Notice]:
    """Notices that wait in the channel `ops`, as of that time."""
    seen = look(store)
    now = seen.read_at if at is None else at
    notices = [
        Notice(f"{check}:{number}", NoticeKind.FIRING, check, Status.OK, Status.ERROR, now, now)
        for number, check in enumerate(checks)
    ]
    assert store.alerts.decide(seen, {}, [("ops", notice) for notice in notices])
    return notices


def take(store: RedisStore, token: str = "me", lease_seconds: float = LEASE) -> Delivery | None:
    """The next notice of `ops`."""
    return store.alerts.take("ops", token, lease_seconds=lease_seconds)


def delivered(store: RedisStore, send: Callable[[Notice], DeliveryFailure | None], **options: float) -> list[str]:
    """The events of delivering what waits in `ops`."""
    settings = {"retry_for_seconds": 3600.0, "for_seconds": 5.0, **options}
    attempts = alerting.deliver(channel(), send, store.alerts, **settings)  # type: ignore[arg-type]
    return [f"{attempt.event} {attempt.notice.check}" for attempt in attempts]


def test_what_happened_is_decided_once(store: RedisStore) -> None:
    """By eight who decide at the same time, while it happens."""
    told: list[str] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            told.extend(decide(store))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for status in (Status.ERROR, Status.OK):
        for number in range(40):
            change(store, f"c{number}", status)
    wait_for(lambda: not look(store).transitions, seconds=30)
    stop.set()
    for thread in threads:
        thread.join()
    assert sorted(told) == sorted(f"ops c{n} {what}" for n in range(40) for what in ("firing", "resolved"))
    waiting = delivered(store, lambda _: None)
    assert len(waiting) == 80


def test_a_decision_that_is_late_writes_nothing(store: RedisStore) -> None:
    """Neither alerts nor notices."""
    first, second = look(store), look(store)
    alert = Alert("a", Status.ERROR, Status.OK, 1.0, 1)
    notice = Notice("a:1", NoticeKind.FIRING, "a", Status.OK, Status.ERROR, 1.0, 1.0)
    assert store.alerts.decide(first, {}, [])
    assert not store.alerts.decide(second, {"a": alert}, [("ops", notice)])
    assert take(store) is None
    assert store.alerts.overview().alerts == ()


def test_what_fails_when_the_first_channel_is_configured_is_told(server: RedisServer, key_prefix: str) -> None:
    """As it stands then, and nothing of what was before."""
    fresh = RedisStore(server.url, prefix=key_prefix)
    for status in (Status.ERROR, Status.OK, Status.ERROR):
        change(fresh, "a", status)
    for status in (Status.ERROR, Status.OK):
        change(fresh, "b", status)
    with server.client() as client:
        _date_back(client, fresh.alerts._transitions, minutes=2)
    assert decide(fresh) == ["ops a firing"]
    assert decide(fresh) == []
    fresh.close()


def test_what_happened_between_a_flush_and_the_next_decision_is_told(start_redis: Callable[..., RedisServer]) -> None:
    """An incident that began and ended meanwhile is in the stream, and nowhere else."""
    private = start_redis()
    store = RedisStore(private.url)
    change(store, "a", Status.OK)
    assert decide(store) == []
    with private.client() as client:
        client.flushall()
    for status in (Status.OK, Status.ERROR, Status.OK):
        change(store, "a", status)
    assert decide(store) == ["ops a firing", "ops a resolved"]
    store.close()


@pytest.mark.parametrize("lost", ["trimmed", "deleted", "taken back"])
def test_transitions_that_were_lost_are_made_up_for(server: RedisServer, redis_store: RedisStore, lost: str) -> None:
    """The stream was trimmed beyond the last decision, or is gone, or is an older one: the states tell what holds."""
    store = redis_store
    key = f"{store.alerts._transitions}"
    for check in ("a", "b"):
        change(store, check, Status.ERROR)
    assert decide(store) == ["ops a firing", "ops b firing"]
    change(store, "a", Status.OK)
    change(store, "c", Status.ERROR)
    with server.client() as client:
        if lost == "trimmed":
            client.xtrim(key, maxlen=1, approximate=False)
        else:
            client.delete(key)
            if lost == "taken back":
                client.xadd(key, {"id": "x:1", "transition": "?"}, id="1-1")
    assert sorted(decide(store)) == ["ops a resolved", "ops c firing"]
    assert decide(store) == []
    change(store, "b", Status.OK)
    assert decide(store) == ["ops b resolved"]


def test_a_flushed_server_tells_again_what_fails(server: RedisServer, start_redis: Callable[..., RedisServer]) -> None:
    """Nobody knows any more who was told."""
    private = start_redis()
    store = RedisStore(private.url)
    change(store, "a", Status.ERROR)
    assert decide(store) == ["ops a firing"]
    with private.client() as client:
        client.flushall()
    change(store, "a", Status.ERROR)
    assert decide(store) == ["ops a firing"]
    store.close()


def test_what_is_forgotten_has_ended(store: RedisStore) -> None:
    """A worker that was scaled in while an alert of it stood: resolved, and then nothing is remembered of it."""
    change(store, "worker:a", Status.ERROR)
    assert decide(store) == ["ops worker:a firing"]
    store.states.forget(["worker:a"])
    assert decide(store) == ["ops worker:a resolved"]
    assert store.alerts.overview().alerts == ()


def test_notices_of_a_check_leave_in_order(store: RedisStore) -> None:
    """While the first of a check waits to be tried again, those behind it wait; those of others do not."""
    put(store, "a", "a", "b")
    first = take(store)
    assert first is not None
    store.alerts.retry(first, after_seconds=60, pause_channel_seconds=0, reason="no")
    second = take(store)
    assert second is not None
    assert (first.notice.check, second.notice.check) == ("a", "b")
    store.alerts.ack(second)
    assert take(store) is None


def test_one_has_the_channel_until_its_lease_ends(store: RedisStore) -> None:
    """Then another gets the same notice; who comes late with its acknowledgement changes nothing."""
    put(store, "a", "b")
    first = take(store, "one", lease_seconds=0.2)
    assert first is not None
    assert take(store, "two") is None
    assert store.alerts.due(["ops"]) == []
    second = wait_for(lambda: take(store, "two"), seconds=10)
    assert second.notice == first.notice
    assert store.alerts.ack(second)
    assert not store.alerts.ack(first)
    third = take(store, "two")
    assert third is not None
    assert third.notice.check == "b"
    store.alerts.leave("ops", "one")
    assert take(store, "three") is None
    store.alerts.leave("ops", "two")
    assert take(store, "three") is not None


def test_failures_in_a_row_put_the_channel_off(store: RedisStore) -> None:
    """One may be the notice's own affair. With the second, and no success between, nothing of the channel is tried."""
    put(store, "a", "b", "c")
    assert delivered(store, lambda _: DeliveryFailure("refused"), first_retry_seconds=60.0) == ["failed a", "failed b"]
    [lane] = store.alerts.overview().queues
    assert (lane.pending, lane.failures, lane.reason) == (3, 2, "refused")
    assert lane.held_until is not None
    assert lane.held_until > time.time() + 10
    assert store.alerts.due(["ops"]) == []


def test_a_channel_that_recovers_goes_on(store: RedisStore) -> None:
    """Failures are tried again, and one success lets the others through."""
    put(store, "a", "b", "c")
    answers = iter([DeliveryFailure("no"), DeliveryFailure("no"), DeliveryFailure("no")])
    events: list[str] = []

    def all_told() -> bool:
        events.extend(delivered(store, lambda _: next(answers, None), first_retry_seconds=0.02))
        return not store.alerts.overview().queues[0].pending

    wait_for(all_told, seconds=30)
    assert sorted(event for event in events if event.startswith("delivered")) == [
        "delivered a",
        "delivered b",
        "delivered c",
    ]
    assert store.alerts.overview().queues[0].failures == 0


def test_a_receiver_says_when_to_come_again(store: RedisStore) -> None:
    """The whole channel waits as long."""
    put(store, "a", "b")
    assert delivered(store, lambda _: DeliveryFailure("slow down", retry_after_seconds=120.0)) == ["failed a"]
    held_until = store.alerts.overview().queues[0].held_until
    assert held_until is not None
    assert 100 < held_until - store.states.now() < 140


def test_what_cannot_be_told_is_a_dead_letter(store: RedisStore) -> None:
    """At once when trying again is useless, else when it was tried for long enough; what is behind it goes on."""
    put(store, "a", "b")
    answers = iter([DeliveryFailure("no such address", permanent=True), None])
    assert delivered(store, lambda _: next(answers)) == ["dead a", "delivered b"]
    put(store, "c", at=store.states.now() - 7200)
    assert delivered(store, lambda _: DeliveryFailure("no answer")) == ["dead c"]
    overview = store.alerts.overview()
    assert overview.dead_letter_count == 2
    assert [(letter.notice.check, letter.reason, letter.attempts) for letter in overview.dead_letters] == [
        ("c", "no answer", 1),
        ("a", "no such address", 1),
    ]


def test_what_waits_for_a_channel_that_is_no_more_is_given_up(store: RedisStore) -> None:
    """And shown as such; the channels there are keep theirs."""
    put(store, "a", "b")
    assert store.alerts.retire(configured_channels=["ops"], before=store.states.now()) == 0
    # It may be of a configuration to come.
    assert store.alerts.retire(configured_channels=["other"], before=store.states.now() - 60) == 0
    assert store.alerts.retire(configured_channels=["other"], before=store.states.now()) == 2
    overview = store.alerts.overview()
    assert overview.queues == ()
    assert {letter.reason for letter in overview.dead_letters} == {"its channel is not configured any more"}


def test_silences_end_by_themselves(store: RedisStore) -> None:
    """And by their id."""
    short = store.alerts.silence("a*", for_seconds=0.2, why="we know", by="ada")
    long = store.alerts.silence("b", for_seconds=60, why="so what")
    assert [silence.id for silence in look(store).silences] == [short.id, long.id]
    wait_for(lambda: store.alerts.overview().silences == (long,), seconds=10)
    assert store.alerts.unsilence(long.id)
    assert not store.alerts.unsilence(long.id)


def test_a_timed_out_send_is_tried_again_by_the_next(store: RedisStore) -> None:
    """Time is up: the channel is free at once for whoever goes on."""
    put(store, "a", "b")
    assert delivered(store, lambda _: None, for_seconds=0.0) == ["delivered a"]
    assert store.alerts.due(["ops"]) == ["ops"]
    assert delivered(store, lambda _: None) == ["delivered b"]


KEYS = ["alerting", "alerting:alerts", "alerting:silences", "alerting:dead", "alerting:channels"]
KEYS += [f"alerting:{kind}:ops" for kind in ("due", "channel", "flight")] + ["alerting:lane:ops|a"]


@pytest.mark.parametrize("garbage", ["string", "hash", "list", "zset", "stream"])
@pytest.mark.parametrize("key", KEYS)
def test_garbage_costs_no_more_than_what_it_replaced(
    server: RedisServer, redis_store: RedisStore, key_prefix: str, key: str, garbage: str
) -> None:
    """Whatever somebody writes under one of our keys, the next thing that happens is told."""
    store = redis_store
    change(store, "a", Status.ERROR)
    decide(store)
    with server.client() as client:
        client.delete(key_prefix + key)
        match garbage:
            case "string":
                client.set(key_prefix + key, "\xff{")
            case "hash":
                client.hset(key_prefix + key, mapping={"version": "x", "cursor": "9-x", "a": "{}", "hold": "x"})
            case "list":
                client.rpush(key_prefix + key, "x|{}")
            case "zset":
                client.zadd(key_prefix + key, {"zzz": 1})
            case _:
                client.xadd(key_prefix + key, {"x": "y"})
    store.alerts.overview()
    change(store, "b", Status.ERROR)
    assert "ops b firing" in decide(store)
    assert store.alerts.due(["ops"]) == ["ops"]
    assert "delivered b" in delivered(store, lambda _: None)
    assert store.alerts.retire(configured_channels=[], before=store.states.now()) == 0


def _date_back(client: Any, stream: str, *, minutes: int) -> None:
    """Write the stream anew, all but its last entry so much older."""
    entries = client.xrange(stream)
    client.delete(stream)
    for entry_id, fields in entries[:-1]:
        at, number = entry_id.split(b"-")
        client.xadd(stream, fields, id=f"{int(at) - minutes * 60_000}-{number.decode()}")
    client.xadd(stream, entries[-1][1], id=entries[-1][0])
