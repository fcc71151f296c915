"""A damaged stream of transitions, and damaged lanes: alerting goes on, loops over nothing and repeats nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from monitor.model.checks import Status
from monitor.store.redis.outbox import PENDING_KEPT
from monitor.store.redis.store import RedisStore
from tests.integration.store.test_outbox import decide, delivered, look, put, redis_store, server
from tests.support.redis_server import RedisServer
from tests.system.services.test_alert_delivery import change

__all__ = ["redis_store", "server"]  # fixtures

LARGE = {"id": "x:1", "transition": "x" * 100_000}
READ_AT_MOST = 20_000


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    """A plain client of the server."""
    with server.client() as client:
        yield client


@pytest.fixture
def stream(key_prefix: str) -> str:
    """The key of the transitions."""
    return f"{key_prefix}transitions"


def fill(client: Any, stream: str, count: int, *fields: str) -> None:
    """Add so many entries of these fields."""
    script = "for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2)) end"
    client.eval(script, 1, stream, count, *fields)


def scripts_run(client: Any) -> int:
    """How many scripts the server has run."""
    return int(client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


@pytest.mark.parametrize(("fields", "most_scripts"), [(("x", "y"), 20), (("id", "a:1", "transition", "junk"), 160)])
def test_pages_of_junk_are_passed_by(
    client: Any, stream: str, redis_store: RedisStore, fields: tuple[str, ...], most_scripts: int
) -> None:
    """More than one decision reads: what is behind them is told once, after few scripts."""
    fill(client, stream, 30_000, *fields)
    change(redis_store, "a", Status.ERROR)
    before = scripts_run(client)
    assert decide(redis_store) == ["ops a firing"]
    assert scripts_run(client) - before < most_scripts
    assert decide(redis_store) == []
    seen = look(redis_store)
    assert not seen.needs_decision
    assert not seen.may_be_incomplete


@pytest.mark.parametrize("behind", [0, 1])
@pytest.mark.parametrize("ahead", [0, 1])
def test_an_entry_that_is_too_large(client: Any, stream: str, redis_store: RedisStore, ahead: int, behind: int) -> None:
    """It is removed, wherever it is, and nothing takes the gap for a stream that was trimmed."""
    for number in range(ahead):
        change(redis_store, f"a{number}", Status.ERROR)
        assert decide(redis_store) == [f"ops a{number} firing"]
    client.xadd(stream, LARGE)
    for number in range(behind):
        change(redis_store, f"b{number}", Status.ERROR)
    assert decide(redis_store) == [f"ops b{number} firing" for number in range(behind)]
    assert client.xlen(stream) == ahead + behind
    assert not look(redis_store).needs_decision
    change(redis_store, "c", Status.ERROR)
    seen = look(redis_store)
    assert not seen.may_be_incomplete
    assert [transition.check for transition in seen.transitions] == ["c"]
    assert decide(redis_store) == ["ops c firing"]


def test_a_decision_that_failed_after_the_removal(client: Any, stream: str, redis_store: RedisStore) -> None:
    """The next one goes on from the last that was written."""
    change(redis_store, "a", Status.ERROR)
    decide(redis_store)
    client.xadd(stream, LARGE)
    change(redis_store, "b", Status.ERROR)
    client.xadd(stream, LARGE)
    assert redis_store.alerts.undecided("another") is not None
    client.delete(f"{stream.removesuffix('transitions')}alerting:turn")
    assert client.xlen(stream) == 2
    assert not look(redis_store).may_be_incomplete
    assert decide(redis_store) == ["ops b firing"]


def test_an_entry_that_is_too_large_and_long_decided(client: Any, stream: str, redis_store: RedisStore) -> None:
    """The first decision of all leaves it behind: it is removed, and what is before the cursor stays decided."""
    client.delete(stream, f"{stream.removesuffix('transitions')}alerting")
    client.xadd(stream, LARGE, id="1-1")
    change(redis_store, "a", Status.ERROR)
    assert decide(redis_store) == ["ops a firing"]
    assert client.xlen(stream) == 1
    assert not look(redis_store).may_be_incomplete
    assert decide(redis_store) == []


def test_large_entries_one_after_the_other(client: Any, stream: str, redis_store: RedisStore) -> None:
    """They are read a few at a time: the server's memory does not grow by all of them at once."""
    change(redis_store, "a", Status.ERROR)
    decide(redis_store)
    before = client.info("memory")
    for _ in range(40):
        client.xadd(stream, {"transition": b"x" * 5_000_000})
    stored = client.info("memory")["used_memory"]
    change(redis_store, "b", Status.ERROR)
    client.config_resetstat()
    assert decide(redis_store) == ["ops b firing"]
    # The server may have served tests that needed more.
    assert client.info("memory")["used_memory_peak"] <= max(before["used_memory_peak"], stored + 100_000_000)
    assert client.xlen(stream) == 2


def test_a_broken_stream_is_read_up_to_a_limit(client: Any, stream: str, redis_store: RedisStore) -> None:
    """The rest is decided next, and what the states have told already is not told again."""
    fill(client, stream, READ_AT_MOST + 5000, "id", "a:1", "transition", "junk")
    change(redis_store, "a", Status.ERROR)
    client.hset(f"{stream.removesuffix('transitions')}alerting", "cursor", "x")
    seen = look(redis_store)
    assert seen.may_be_incomplete
    assert seen.cursor == client.xrange(stream, count=READ_AT_MOST)[-1][0].decode()
    assert decide(redis_store) == ["ops a firing"]
    assert decide(redis_store) == []


@pytest.mark.parametrize(
    "cursor",
    ["x", "1-", f"{'9' * 30}-1", f"99999999999999-{'9' * 30}", "01-1", "18446744073709551615-18446744073709551615"],
)
def test_a_cursor_that_is_none(client: Any, stream: str, redis_store: RedisStore, cursor: str) -> None:
    """Everything in the stream is looked at again; what was told is not repeated."""
    change(redis_store, "a", Status.ERROR)
    assert decide(redis_store) == ["ops a firing"]
    time = client.xrevrange(stream, count=1)[0][0].decode().partition("-")[0]
    client.hset(f"{stream.removesuffix('transitions')}alerting", "cursor", cursor.replace("99999999999999", time, 1))
    change(redis_store, "b", Status.ERROR)
    assert decide(redis_store) == ["ops b firing"]
    change(redis_store, "c", Status.ERROR)
    assert decide(redis_store) == ["ops c firing"]


def test_ids_of_twenty_digits(client: Any, stream: str, redis_store: RedisStore) -> None:
    """They are compared exactly: what comes after the cursor is told, and once."""
    client.xadd(stream, {"x": "y"}, id="18446744073709551614-5")
    for check in ("a", "b"):
        change(redis_store, check, Status.ERROR)
        assert decide(redis_store) == [f"ops {check} firing"]
    assert not look(redis_store).needs_decision


@pytest.mark.parametrize("junk", ["junk", b"\xff", "x|{}", "1|junk"])
def test_a_lane_of_junk(client: Any, key_prefix: str, redis_store: RedisStore, junk: str | bytes) -> None:
    """What waits behind it, and beside it, is delivered at once."""
    lane = f"{key_prefix}alerting:lane:ops|a"
    client.eval("for i = 1, 100000 do redis.call('RPUSH', KEYS[1], ARGV[1]) end", 1, lane, junk)
    put(redis_store, "a", "b")
    assert delivered(redis_store, lambda _: None, for_seconds=60.0) == ["delivered a", "delivered b"]
    assert not client.exists(lane)
    assert redis_store.rejected_counts()["notice"] == 100_000


def test_a_lane_of_more_than_may_wait(client: Any, key_prefix: str, redis_store: RedisStore) -> None:
    """Only the newest are looked at, one by one: they may be notices."""
    lane = f"{key_prefix}alerting:lane:ops|a"
    script = "for i = 1, tonumber(ARGV[2]) do redis.call('RPUSH', KEYS[1], ARGV[1]) end"
    client.eval(script, 1, lane, '1|{"junk"', PENDING_KEPT + 100_000)
    put(redis_store, "a")
    before = scripts_run(client)
    assert delivered(redis_store, lambda _: None, for_seconds=60.0) == ["delivered a"]
    assert scripts_run(client) - before < 2 * PENDING_KEPT + 100


def test_many_lanes_that_are_none(client: Any, key_prefix: str, redis_store: RedisStore) -> None:
    """Names without notices are removed; one delivery gets to what is behind them."""
    script = "for i = 1, 100000 do redis.call('ZADD', KEYS[1], 0, 'junk' .. i) end"
    client.eval(script, 1, f"{key_prefix}alerting:due:ops")
    put(redis_store, "a")
    assert delivered(redis_store, lambda _: None) == ["delivered a"]
    assert client.zcard(f"{key_prefix}alerting:due:ops") == 0


@pytest.mark.parametrize("name", [b"queue:\xed\xa0\x80", b"\xff", b"a\x00b", b"x" * 5000, b""])
def test_a_lane_of_a_name_that_is_no_text(client: Any, key_prefix: str, redis_store: RedisStore, name: bytes) -> None:
    """Its notices are removed, and the others are delivered."""
    put(redis_store, "a")
    raw = client.lindex(f"{key_prefix}alerting:lane:ops|a", 0)
    lane = f"{key_prefix}alerting:lane:ops|".encode() + name
    client.rpush(lane, raw)
    client.zadd(f"{key_prefix}alerting:due:ops", {name: 0})
    assert delivered(redis_store, lambda _: None) == ["delivered a"]
    assert not client.exists(lane)


@pytest.mark.parametrize("pending", [2**53 - 1, 2**63 - 1, 10_001, -5, "x"])
def test_a_number_of_waiting_notices_that_is_wrong(
    client: Any, key_prefix: str, redis_store: RedisStore, pending: object
) -> None:
    """The notices are counted before one is given up, and nothing that waits is nothing in the overview."""
    about = f"{key_prefix}alerting:channel:ops"
    client.hset(about, "pending", str(pending))
    client.sadd(f"{key_prefix}alerting:channels", "ops")
    put(redis_store, "a", "b")
    assert redis_store.alerts.overview().dead_letters == ()
    client.hset(about, "pending", 7)
    assert delivered(redis_store, lambda _: None) == ["delivered a", "delivered b"]
    assert [lane.pending for lane in redis_store.alerts.overview().queues] == [0]
