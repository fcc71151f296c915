"""Somebody else writes under our keys: a check may lose its state, a reader never loses its life."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
import redis

from monitor.store.codec import decode, decode_transition
from monitor.store.redis.store import RedisStore
from tests.support.builders.values import check, run, state_of
from tests.support.redis_server import RedisServer

WRONG: dict[str, Callable[[redis.Redis, str], object]] = {
    "string": lambda client, key: client.set(key, "garbage"),
    "list": lambda client, key: client.rpush(key, "garbage"),
    "hash": lambda client, key: client.hset(key, mapping=dict.fromkeys(HASH_FIELDS, "garbage")),
    "set": lambda client, key: client.sadd(key, "garbage"),
    "zset": lambda client, key: client.zadd(key, {"garbage": 9e99}),
    "stream": lambda client, key: client.xadd(key, {"garbage": 1}, id="18446744073709551615-18446744073709551615"),
}
HASH_FIELDS = ("db", "epoch", "change", "token", "cursor", "since", "claim", "fingerprint")
KEYS = ("states", "meta", "changed", "retries", "transitions", "dispatch", "flight:db", "open")


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_another_type(
    redis_store: RedisStore, server: RedisServer, key_prefix: str, key: str, kind: str
) -> None:
    """Reading goes on; the next run and the next claim put things right again."""
    run(redis_store, "db")
    redis_store.states.claim_window("a")
    cursor = redis_store.states.changes(None).cursor
    with server.client() as client:
        client.delete(key_prefix + key)
        WRONG[kind](client, key_prefix + key)
    for name, state in [*redis_store.states.read().states.items(), *redis_store.states.changes(cursor).states.items()]:
        assert (name, state.check) == ("db", "db")
    redis_store.states.transitions()
    made = run(redis_store, "db", "error")
    window = redis_store.states.claim_window("a")
    assert window is not None
    state = state_of(redis_store, "db")
    assert state is not None
    assert state.status == "error"
    assert redis_store.states.transitions()[-1][1] == made[-1]
    assert "db" in redis_store.states.changes(cursor).states
    assert "db" in redis_store.states.changes(None).states
    assert redis_store.states.changes(redis_store.states.changes(None).cursor).states.keys() <= {"garbage"}


BAD_STATES = {
    "empty": b"",
    "truncated": b'{"s":"ok","a":1764',
    "binary": bytes(range(256)),
    "another shape": b"[]",
    "a number": b"7",
    "nothing in it": b"{}",
    "deep": b"[" * 50_000,
    "10 MB": b"x" * (10 * 2**20),
    "10 MB of JSON": b'{"s":"' + b"x" * (10 * 2**20) + b'"}',
}


@pytest.mark.parametrize("raw", BAD_STATES.values(), ids=BAD_STATES)
def test_a_state_that_is_none(redis_store: RedisStore, server: RedisServer, key_prefix: str, raw: bytes) -> None:
    """The check has no state, the others keep theirs; the next run begins anew, above all ids used before."""
    before = run(redis_store, "db")[0]
    run(redis_store, "web")
    with server.client() as client:
        client.hset(f"{key_prefix}states", "db", raw)
    assert set(redis_store.states.read().states) == {"web"}
    assert set(redis_store.states.read(["db", "web"]).states) == {"web"}
    assert set(redis_store.states.changes(None).states) == {"web"}
    after = run(redis_store, "db")[0]
    assert after.old == "unknown"
    assert after.sequence > before.sequence
    assert set(redis_store.states.read().states) == {"db", "web"}


def test_a_huge_value_stays_where_it_is(redis_store: RedisStore, server: RedisServer, key_prefix: str) -> None:
    """10 MB under our keys are not sent to anybody."""
    with server.client() as client:
        run(redis_store, "db")
        client.hset(f"{key_prefix}states", "db", b"x" * (10 * 2**20))
        client.xadd(f"{key_prefix}transitions", {"transition": b"x" * (10 * 2**20)})
        before = client.info("stats")["total_net_output_bytes"]
        redis_store.states.read()
        redis_store.states.changes(None)
        redis_store.states.transitions()
        redis_store.states.take("db", "run-1", lease_seconds=5)
        assert client.info("stats")["total_net_output_bytes"] - before < 100_000


@pytest.mark.parametrize(("ahead_seconds", "believed"), [(-3600, True), (0, True), (4, True), (6, False), (1e9, False)])
def test_results_from_the_future(
    redis_store: RedisStore, server: RedisServer, key_prefix: str, ahead_seconds: float, believed: bool
) -> None:
    """Clocks may differ by 5 seconds; what is further ahead is no observation, and is overwritten."""
    run(redis_store, "db")
    with server.client() as client:
        value = json.loads(client.hget(f"{key_prefix}states", "db"))
        value["r"]["o"] += ahead_seconds
        client.hset(f"{key_prefix}states", "db", json.dumps(value))
    assert ("db" in redis_store.states.read().states) is believed
    assert ("db" in redis_store.states.changes(None).states) is believed
    made = run(redis_store, "db", "warning")
    assert (made[0].old == "ok") is believed
    assert "db" in redis_store.states.read().states


MUTATIONS: dict[str, object] = {
    "no such status": {"s": "green"},
    "since as text": {"a": "now"},
    "since as truth": {"a": True},
    "a half sequence": {"n": 1.5},
    "a negative sequence": {"n": -1},
    "no result": {"r": None},
    "a streak of one": {"k": ["error"]},
    "an endless retry": {"y": float("inf")},
    "transitions as text": {"t": "none"},
    "no run": {"i": None},
    "unexpected data": {"r": {"d": [1]}},
}


@pytest.mark.parametrize("change", MUTATIONS.values(), ids=MUTATIONS)
def test_decoding_is_strict(redis_store: RedisStore, server: RedisServer, key_prefix: str, change: dict) -> None:  # type: ignore[type-arg]
    """One field that is odd makes the whole state not understood."""
    run(redis_store, "db")
    with server.client() as client:
        value = json.loads(client.hget(f"{key_prefix}states", "db"))
    assert decode("db", json.dumps(value).encode())
    result = value["r"] | change["r"] if isinstance(change.get("r"), dict) else change.get("r", value["r"])
    assert decode("db", json.dumps(value | change | {"r": result}).encode()) is None


@pytest.mark.parametrize("raw", [None, b"", b"{}", b"[]", b"7", b"[1,2]", b'["db",1,"ok","odd",1,"r",null]', b"\xff"])
def test_transitions_that_are_none(raw: bytes | None) -> None:
    """An entry of the stream that we would not have written is left out."""
    assert decode_transition(raw) is None


def test_garbage_between_transitions(redis_store: RedisStore, server: RedisServer, key_prefix: str) -> None:
    """A page is filled with what can be understood, however much lies between."""
    first = run(redis_store, "db", "ok")
    with server.client() as client:
        for _ in range(5):
            client.xadd(f"{key_prefix}transitions", {"transition": "garbage"})
    second = run(redis_store, "db", "error")
    page = redis_store.states.transitions(limit=2)
    assert tuple(t for _, t in page) == first + second
    assert redis_store.states.transitions(after=page[0][0], limit=1) == page[1:]


CURSORS = {"text": "now", "not a number": "nan", "endless": "inf", "negative": "-5", "hexadecimal": "0xFFFFFFFFFFFFFFF"}


@pytest.mark.parametrize("cursor", [*CURSORS.values(), None], ids=[*CURSORS, "a minute ahead"])
def test_a_dispatch_cursor_that_is_none(
    redis_store: RedisStore, server: RedisServer, key_prefix: str, cursor: str | None
) -> None:
    """Dispatching starts over, as on the first day."""
    redis_store.states.claim_window("a")
    with server.client() as client:
        client.hset(f"{key_prefix}dispatch", "cursor", cursor or f"{(time.time() + 60) * 1e6:.0f}")
    window = redis_store.states.claim_window("a", at_least_seconds=5)
    assert window is not None
    assert window.since is None
    assert window.observed == frozenset()


def test_a_dispatch_cursor_slightly_ahead(redis_store: RedisStore, server: RedisServer, key_prefix: str) -> None:
    """After a fail-over to a slower clock nothing is dispatched twice: the claim waits for the clock."""
    redis_store.states.claim_window("a")
    with server.client() as client:
        client.hset(f"{key_prefix}dispatch", "cursor", f"{(time.time() + 3) * 1e6:.0f}")
    assert redis_store.states.claim_window("a") is None


def test_a_flight_without_an_end(redis_store: RedisStore, server: RedisServer, key_prefix: str) -> None:
    """A lease that somebody made permanent does not keep the check from running forever."""
    redis_store.states.take("db", "run-1", lease_seconds=5)
    with server.client() as client:
        client.persist(f"{key_prefix}flight:db")
    assert redis_store.states.take("db", "run-2", lease_seconds=5)


def test_a_state_changed_by_others_in_mid_flight(redis_store: RedisStore, server: RedisServer, key_prefix: str) -> None:
    """The reducer runs again on what is there now."""
    run(redis_store, "db", "ok", failure_threshold=3)
    with server.client() as client:
        older = client.hget(f"{key_prefix}states", "db")
        run(redis_store, "db", "error", failure_threshold=3)
        flight = redis_store.states.take("db", "run-9", lease_seconds=5)
        client.hset(f"{key_prefix}states", "db", older)
    seen = []

    def reducer(state):  # type: ignore[no-untyped-def]
        from tests.support.builders.values import becoming

        seen.append(state.streak and state.streak.count)
        return becoming(flight, "error", check("db", failure_threshold=3))(state)

    redis_store.states.update(flight, reducer)
    assert seen == [1, None]
    assert state_of(redis_store, "db").streak.count == 1  # type: ignore[union-attr]
