"""Packing on real servers: killed anywhere, by two at once, over broken blocks, within its budget and its times."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.history import uptime
from monitor.history.rollups import empty_day, replace_hours
from monitor.history.samples import DAY_SECONDS, HOUR_SECONDS, Sample, gather
from monitor.model.checks import Status
from monitor.ports.store import StoreUnavailable
from monitor.store.redis.compaction import ENOUGH_LINES
from monitor.store.redis.connection import RedisConnection
from monitor.store.redis.history import RedisHistory
from monitor.store.redis.store import RedisStore
from monitor.store.rejected import RejectedValues
from monitor.store.retention import Retention
from tests.integration.store.redis.test_garbage import WRONG
from tests.support import brute
from tests.support.builders.samples import MIDNIGHT, make
from tests.support.builders.values import add, run, writer
from tests.support.redis_server import BINARIES, RedisServer, StartRedis

LONG = Retention(raw_seconds=3660 * DAY_SECONDS, rollup_seconds=3660 * DAY_SECONDS)
END = MIDNIGHT + 4 * DAY_SECONDS
BROKEN = {
    "empty": b"",
    "a beginning": b"S1garbage",
    "another beginning": b"D1" + b"\0" * 60,
    "garbage": b"x" * 100,
}
Past = dict[str, list[Sample]]


class Killed(BaseException):
    """What a process dies of."""


class MortalLink(RedisConnection):
    """Dies before its ``lives``-th script from now on, or right after it."""

    lives = -1
    after = False
    before_each: Callable[[], object] | None = None

    def run(self, script: Any, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """The script's answer, if it is to be."""
        self.lives -= 1
        if self.lives == 0 and not self.after:
            raise Killed
        if self.before_each is not None:
            self.before_each()
        answer = super().run(script, keys, arguments)
        if self.lives == 0:
            raise Killed
        return answer


def history_on(link: RedisConnection, prefix: str = "p:", retention: Retention = LONG) -> RedisHistory:
    """A history over a connection of its own."""
    return RedisHistory(link, prefix, retention, RejectedValues(link, prefix, writes=False))


@pytest.fixture
def new_history(server: RedisServer) -> Iterator[Callable[..., RedisHistory]]:
    """Makes histories: with a prefix of their own, or a given one."""
    prefixes = []

    def made(prefix: str | None = None, retention: Retention = LONG) -> RedisHistory:
        prefix = prefix or f"{uuid.uuid4().hex}:"
        prefixes.append(prefix)
        return history_on(MortalLink(server.url, timeout_seconds=2, retries=True), prefix, retention)

    yield made
    with server.client() as client:
        for prefix in prefixes:
            for key in client.scan_iter(f"{prefix}*", count=1000):
                client.delete(key)


def link_of(history: RedisHistory) -> MortalLink:
    """Its link, whose life is in our hands."""
    assert isinstance(history._connection, MortalLink)
    return history._connection


def a_past(seed: int, *, checks: int = 2, size: int = 60) -> Past:
    """Whatever the seed brings, within the days that are looked at."""
    some = {f"check-{number}": make(seed + number, size) for number in range(checks)}
    return {check: [sample for sample in written if sample.at < END] for check, written in some.items()}


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_killed_at_every_script(new_history: Callable[..., RedisHistory], seed: int) -> None:
    """Before it is sent or after it was done: what was written is there, and doing it again counts nothing twice."""
    lives = 0
    died = True
    while died:
        lives += 1
        for after in (False, True):
            history, past = new_history(), a_past(seed, size=12)
            for check, written in past.items():
                add(history, check, written)
            link = link_of(history)
            link.lives, link.after, died = lives, after, False
            try:
                history.compact(END)
            except Killed:
                died = True
            link.lives = -1
            assert_read(history, past)
            history.compact(END)
            assert_read(history, past)
            assert history.compact(END).hours == 0
            assert_read(history, past)


def test_each_time_somebody_was_faster(new_history: Callable[..., RedisHistory]) -> None:
    """Whatever is read is no longer so when it is to be written: nothing is lost, nothing counted twice."""
    slow, past = new_history(), a_past(3)
    fast = new_history(slow._names.prefix)
    late = {check: [*written[::2]] for check, written in past.items()}
    for check, written in late.items():
        add(slow, check, written)
    rest = [(check, sample) for check, written in past.items() for sample in written if sample not in late[check]]

    def meddle() -> None:
        for check, sample in [rest.pop() for _ in range(min(3, len(rest)))]:
            add(fast, check, [sample])
        fast.compact(END)

    link_of(slow).before_each = meddle
    while rest:
        slow.compact(END)
    link_of(slow).before_each = None
    slow.compact(END)
    assert_read(slow, past, in_order=False)


def test_two_at_once_while_results_come(new_history: Callable[..., RedisHistory]) -> None:
    """Two replicas pack all the time, and a third writes."""
    history, past = new_history(), a_past(11, size=200)
    done: list[bool] = []
    failures: list[BaseException] = []

    def pack() -> None:
        mine = new_history(history._names.prefix)
        try:
            while not done:
                mine.compact(END)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [Thread(target=pack) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for check, written in past.items():
            for sample in written:
                add(history, check, [sample])
    finally:
        done.append(True)
        for thread in threads:
            thread.join()
    assert not failures
    history.compact(END)
    assert_read(history, past, in_order=False)


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_block_of_samples(
    new_history: Callable[..., RedisHistory], server: RedisServer, broken: bytes
) -> None:
    """Its hour has no samples; its buckets stay, and what comes later in the hour is added to them."""
    history, past = new_history(), steady("db", hours=3)
    add(history, "db", past["db"])
    history.compact(MIDNIGHT + 3 * HOUR_SECONDS)
    with server.client() as client:
        client.set(history._names.raw_block("db", MIDNIGHT // HOUR_SECONDS + 1), broken)
    assert [sample.at for sample in history.samples("db", MIDNIGHT, END)] == [
        sample.at for sample in past["db"] if not MIDNIGHT + 3600 <= sample.at < MIDNIGHT + 7200
    ]
    late = Sample(MIDNIGHT + 7195, Status.ERROR, MIDNIGHT + 7198)
    add(history, "db", [late])
    for _ in range(2):
        figures = uptime.uptime(history.rollups(["db"], MIDNIGHT, MIDNIGHT + 7200)["db"])
        assert figures.seconds == brute.seconds([*past["db"], late], MIDNIGHT, MIDNIGHT + 7200)
        history.compact(MIDNIGHT + 3 * HOUR_SECONDS)
    early = Sample(MIDNIGHT + 3605, Status.ERROR, MIDNIGHT + 3608)  # nobody knows any more what it fell between
    add(history, "db", [early])
    for _ in range(2):
        assert uptime.uptime(history.rollups(["db"], MIDNIGHT, MIDNIGHT + 7200)["db"]) == figures
        history.compact(MIDNIGHT + 3 * HOUR_SECONDS)


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_block_of_buckets(
    new_history: Callable[..., RedisHistory], server: RedisServer, broken: bytes
) -> None:
    """Its day is unobserved, the others are not; what comes later brings its own hour back."""
    history = new_history()
    past = steady("db", hours=50, every=60)["db"]
    add(history, "db", past)
    history.compact(MIDNIGHT + 50 * HOUR_SECONDS)
    with server.client() as client:
        client.set(history._names.roll_block("db", MIDNIGHT // DAY_SECONDS + 1), broken)

    def days() -> list[tuple[float, float]]:
        found = history.rollups(["db"], MIDNIGHT, MIDNIGHT + 50 * HOUR_SECONDS)["db"]
        return [(day.ok + day.error, day.unobserved) for _, day in uptime.daily_uptimes(found)]

    assert days() == [(DAY_SECONDS, 0), (120, DAY_SECONDS - 120), (2 * HOUR_SECONDS, 0)]
    add(history, "db", [Sample(MIDNIGHT + 25 * HOUR_SECONDS - 5, Status.OK, MIDNIGHT + 25 * HOUR_SECONDS)])
    for _ in range(2):
        assert days() == [(DAY_SECONDS, 0), (HOUR_SECONDS, DAY_SECONDS - HOUR_SECONDS), (2 * HOUR_SECONDS, 0)]
        history.compact(MIDNIGHT + 50 * HOUR_SECONDS)


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("key", ["open", "blocks:raw", "blocks:roll", "blocks", "list", "raw", "roll"])
def test_keys_of_another_type(
    new_history: Callable[..., RedisHistory], server: RedisServer, key: str, kind: str
) -> None:
    """Reading goes on; what is written and packed from then on is there."""
    history = new_history(retention=Retention())
    now = history._connection.now()
    hour = int(now // HOUR_SECONDS)
    names = {
        "list": f"open:db:{hour}",
        "raw": f"raw:db:{hour}",
        "roll": f"roll:db:{int(now // DAY_SECONDS)}",
    }
    store = RedisStore(server.url, prefix=history._names.prefix)
    run(store, "db")
    history.compact(now + HOUR_SECONDS)
    run(store, "db")
    with server.client() as client:
        client.delete(history._names.prefix + names.get(key, key))
        WRONG[kind](client, history._names.prefix + names.get(key, key))
    history.samples("db", now - HOUR_SECONDS)
    history.rollups(["db"], now - HOUR_SECONDS)
    history.latest(["db"], now)
    history.reaches()
    for _ in range(62):  # a list that nobody knows of is noticed again
        run(store, "db")
    history.compact(now + HOUR_SECONDS)
    assert len(history.samples("db", now - HOUR_SECONDS)) >= 61
    assert sum(map(sum, history.rollups(["db"], now - HOUR_SECONDS)["db"].times)) > 0
    history.forget(["db"], now)
    assert len(history.samples("db", now - HOUR_SECONDS)) == 0


@pytest.mark.parametrize("checks", [1, 3])
def test_hours_of_one_day_are_packed_one_after_the_other(
    new_history: Callable[..., RedisHistory], monkeypatch: pytest.MonkeyPatch, checks: int
) -> None:
    """They are of one block of roll-ups, which the next hour is to be merged with: nothing is read, or tried, twice."""
    history, hours = new_history(), 30
    past = {name: steady(name, hours=hours, every=300)[name] for name in (f"check-{n}" for n in range(checks))}
    for check, written in past.items():
        add(history, check, written)
    read, asked, run_script = [], Counter[str](), RedisConnection.run

    def counted(link: RedisConnection, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        answer = run_script(link, script, keys, arguments)
        asked[script] += 1
        if script == "history_fetch":
            read.extend(line for _, _, lines in answer for line in lines)
        return answer

    monkeypatch.setattr(RedisConnection, "run", counted)
    assert history.compact(END).hours == checks * hours
    assert len(read) == sum(map(len, past.values()))
    assert asked["history_pack"] == checks * hours
    assert asked["history_fetch"] <= 24
    assert_read(history, past)


def test_days_at_once(new_history: Callable[..., RedisHistory], server: RedisServer) -> None:
    """Whole days read like packed ones and occupy as much; done again, they change nothing; they expire."""
    packed, whole = new_history(), new_history()
    written = steady("a", hours=72, every=60)["a"]
    for check in ("a", "b"):
        add(packed, check, written)
    packed.compact(END)
    for _ in range(2):
        for start in range(MIDNIGHT, MIDNIGHT + 3 * DAY_SECONDS, DAY_SECONDS):
            day = replace_hours(empty_day(start), gather(written).within(start, start + DAY_SECONDS))
            writer(whole).add_day(day, ["a", "b"])
            writer(whole).add_day(empty_day(start), ["c"])
    assert whole.rollups(["a", "b", "c"], MIDNIGHT, END) == packed.rollups(["a", "b", "c"], MIDNIGHT, END)
    names, others = whole._names, packed._names
    with server.client() as client:
        index, its_index = (client.zrange(each.roll, 0, -1, withscores=True) for each in (names, others))
        assert [member for member, _ in index] == [member for member, _ in its_index]
        assert int(client.hget(names.blocks, "bytes") or 0) == sum(int(score) % 2**32 for _, score in index)
        for day in range(MIDNIGHT // DAY_SECONDS, MIDNIGHT // DAY_SECONDS + 3):
            keys = names.roll_block("a", day), others.roll_block("a", day)
            assert client.expiretime(keys[0]) == client.expiretime(keys[1]) > 0


def test_lists_that_are_long_are_packed_at_once(new_history: Callable[..., RedisHistory]) -> None:
    """Before their hour is over, so that neither readers nor memory have to bear many lines; short ones wait."""
    history = new_history()
    add(history, "long", steady("long", hours=1)["long"][:ENOUGH_LINES])
    add(history, "short", steady("short", hours=1)["short"][: ENOUGH_LINES - 1])
    assert history.compact(MIDNIGHT + 1800).hours == 1
    assert history.compact(MIDNIGHT + 1800).hours == 0
    assert history.compact(MIDNIGHT + HOUR_SECONDS).hours == 1


def test_times_that_are_kept(new_history: Callable[..., RedisHistory], server: RedisServer) -> None:
    """Samples for a day, roll-ups for a week: by expiry if nobody looks after them, and at once by the task."""
    history = new_history(retention=Retention(DAY_SECONDS, 7 * DAY_SECONDS))
    now = history._connection.now()
    ages = (0.1, 10, 23, 26, 100, 24 * 6, 24 * 9)
    add(history, "db", [Sample(now - age * HOUR_SECONDS, Status.OK, now) for age in ages])
    history.compact(now)
    history.compact(now + HOUR_SECONDS)
    names = history._names
    with server.client() as client:
        for age in ages:
            hour, day = int((now - age * HOUR_SECONDS) // HOUR_SECONDS), int((now - age * HOUR_SECONDS) // DAY_SECONDS)
            left = (hour + 1) * HOUR_SECONDS + DAY_SECONDS - now, (day + 8) * DAY_SECONDS - now
            for key, seconds in zip((names.raw_block("db", hour), names.roll_block("db", day)), left, strict=True):
                assert client.ttl(key) == (pytest.approx(seconds, abs=5) if seconds > 0 else -2)
        assert client.zcard(names.raw) <= 4
        history.compact(now + 40 * DAY_SECONDS)
        assert (client.zcard(names.raw), client.zcard(names.roll)) == (0, 0)
        assert client.hget(names.blocks, "bytes") == b"0"
    assert history.reaches() == (None, None)


def test_within_its_budget(start_redis: StartRedis) -> None:
    """Past it the oldest goes, samples and roll-ups alike; what is left is whole, and it is known what is."""
    server = start_redis(binary=BINARIES[0])
    days, budget = 8, 80_000
    history = history_on(
        RedisConnection(server.url, timeout_seconds=2, retries=True),
        "p:",
        Retention(3660.0 * DAY_SECONDS, 3660.0 * DAY_SECONDS, budget),
    )
    with server.client() as client:
        past: Past = {f"check-{number}": [] for number in range(3)}
        for day in range(days):
            for check in past:
                some = steady(check, hours=24, every=300, since=MIDNIGHT + day * DAY_SECONDS)[check]
                add(history, check, some)
                past[check] += some
            done = history.compact(MIDNIGHT + (day + 1) * DAY_SECONDS)
            assert done.kept_bytes <= budget
            used = sum(client.memory_usage(key, samples=0) or 0 for key in client.scan_iter("p:*", count=1000))
            assert used <= budget
        assert done.evicted > 0
    reaches = history.reaches()
    assert reaches.raw is not None
    assert reaches.rollups is not None
    assert MIDNIGHT < reaches.raw < MIDNIGHT + (days - 1) * DAY_SECONDS
    assert abs(reaches.rollups - reaches.raw) <= DAY_SECONDS
    end = MIDNIGHT + days * DAY_SECONDS
    for check, written in past.items():
        kept = [sample for sample in written if sample.at >= reaches.raw]
        assert list(history.samples(check, reaches.raw, end))[-len(kept) :] == kept
        since = reaches.rollups + HOUR_SECONDS
        figures = uptime.uptime(history.rollups([check], since, end)[check])
        assert figures.seconds == brute.seconds(written, since, end)


def test_lists_that_nobody_packs_stay_within_the_budget(server: RedisServer, key_prefix: str) -> None:
    """The newest lines are there, the oldest are not."""
    store = RedisStore(server.url, prefix=key_prefix, retention=Retention(budget_bytes=10_000))
    for _ in range(150):
        run(store, "db")
    assert 100 <= len(store.history.samples("db", store.states.now() - HOUR_SECONDS)) <= 101


def test_history_off(server: RedisServer, key_prefix: str) -> None:
    """No sample is written, and asking is no error."""
    store = RedisStore(server.url, prefix=key_prefix, retention=Retention(enabled=False))
    run(store, "db")
    with server.client() as client:
        assert not client.keys(f"{key_prefix}open*")
    assert len(store.history.samples("db", store.states.now() - HOUR_SECONDS)) == 0
    assert store.history.reaches() == (None, None)


def test_whatever_is_asked_costs_what_there_is(new_history: Callable[..., RedisHistory]) -> None:
    """Since the beginning of time, or until its end: no more hours are looked at than there are."""
    history = new_history()
    now = history._connection.now()
    add(history, "db", [Sample(now - 7200, Status.OK, now)])
    for since, until in ((0, None), (0, 9e9), (now - 10_000, 9e9), (8e9, 9e9)):
        assert len(history.samples("db", since, until)) == (since < now)
    assert len(history.rollups(["db"], 0)["db"]) <= 3661 * 288


def test_a_full_server(start_redis: StartRedis) -> None:
    """It refuses the blocks: nothing is half done, and all is done when there is room."""
    server = start_redis(binary=BINARIES[0])
    history = history_on(RedisConnection(server.url, timeout_seconds=2, retries=True))
    past = steady("db", hours=2)
    add(history, "db", past["db"])
    with server.client() as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreUnavailable, match=r"OOM|OutOfMemory"):
            history.compact(END)
        assert list(history.samples("db", MIDNIGHT, END)) == past["db"]
        client.config_set("maxmemory", 0)
    assert history.compact(END).hours == 2
    assert list(history.samples("db", MIDNIGHT, END)) == past["db"]


def test_a_frozen_server_costs_a_reader_its_timeout(start_redis: StartRedis) -> None:
    """And no more."""
    server = start_redis(binary=BINARIES[0])
    history = RedisStore(server.url, timeout_seconds=0.2, retries=False).history
    history.reaches()
    server.freeze()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        history.rollups(["db"], MIDNIGHT)
    assert time.monotonic() - started < 1.2
    server.thaw()


def steady(check: str, *, hours: int, every: int = 10, since: float = MIDNIGHT) -> Past:
    """A result every few seconds, of which every hundredth is an error."""
    return {
        check: [
            Sample(
                since + at,
                Status.ERROR if at // every % 100 == 7 else Status.OK,
                since + at + 3 * every,
                None,
                {"n": at / 8},
            )
            for at in range(0, hours * HOUR_SECONDS, every)
        ]
    }


def assert_read(history: RedisHistory, past: Past, *, in_order: bool = True) -> None:
    """Samples, seconds and incidents are what brute force says; of one moment's samples any may have been last."""
    for check, written in past.items():
        spans = brute.spans(written)
        found = history.samples(check, MIDNIGHT, END)
        assert [sample.at for sample in found] == [span.sample.at for span in spans]
        if not in_order and len({sample.at for sample in written}) < len(written):
            continue
        assert [(sample.status, sample.reason, sample.series) for sample in found] == [
            (span.sample.status, span.sample.reason, span.sample.series) for span in spans
        ]
        figures = uptime.uptime(history.rollups([check], MIDNIGHT, END)[check])
        assert figures.seconds == brute.seconds(written, MIDNIGHT, END)
        assert figures.incidents == brute.incidents(written, MIDNIGHT, END)
