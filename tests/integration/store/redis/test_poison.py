"""Values that another program wrote under our keys: each is set aside, counted, and takes nothing with it."""

from __future__ import annotations

import json
import time
import zlib

import pytest
import redis

from monitor.agent import scripts as agent_scripts
from monitor.agent.connection import AgentConnection as AgentLink
from monitor.agent.protocol import Beacon, Keys, encode
from monitor.config import Config
from monitor.model.alerts import AlertsOverview
from monitor.model.checks import Status
from monitor.policy import self_check
from monitor.services import alerting
from monitor.services.self_check import run_self_check
from monitor.store.redis.store import RedisStore
from monitor.store.redis.surplus_fields import FIELDS_AT_A_TIME
from tests.support.builders.alerting import channel
from tests.support.builders.values import check, run, state_of
from tests.support.redis_server import RedisServer

MANY = 300_000
OUTCOMES = {
    self_check.QUEUE: self_check.judge_queue(0, 10),
    self_check.ALERTS: self_check.judge_alerts(AlertsOverview(0.0)),
}
CONFIG = Config(channels={"ops": channel("ops")})


def decide(store: RedisStore) -> list[str]:
    """What is decided to be notified now, by check."""
    return [notice.check for _, notice in alerting.decide(CONFIG, store=store.states, outbox=store.alerts)]


def test_a_transition_with_a_lone_surrogate(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """Alerting passes it by; what comes behind it is notified."""
    decide(redis_store)
    run(redis_store, "db", "ok")
    for name, reason in (("\ud800", None), ("db", "\udfff"), ("x" * 300, None), ('group:"', None)):
        raw = json.dumps([name, 1, "ok", "error", 1763608320.0, "r", reason])
        client.xadd(f"{key_prefix}transitions", {"id": "db:1", "transition": raw})
    for at in (1e308, -1, 10**400):
        raw = json.dumps(["db", 1, "ok", "error", at, "r", None])
        client.xadd(f"{key_prefix}transitions", {"id": "db:1", "transition": raw})
    client.xadd(f"{key_prefix}transitions", {"id": "db:1", "transition": b"x" * 100_000})
    client.xadd(f"{key_prefix}transitions", {"id": "db:1"})
    run(redis_store, "web", "error")
    assert decide(redis_store) == ["web"]
    assert redis_store.rejected_counts()["transition"] == 9
    assert decide(redis_store) == []


def test_a_stream_of_nothing_but_junk_is_passed_by(
    redis_store: RedisStore, client: redis.Redis, key_prefix: str
) -> None:
    """More than is read at once: the cursor moves on."""
    decide(redis_store)
    pipeline = client.pipeline()
    for _ in range(1200):
        pipeline.xadd(f"{key_prefix}transitions", {"transition": "junk"})
    pipeline.execute()
    run(redis_store, "web", "error")
    assert decide(redis_store) == ["web"]


@pytest.mark.parametrize("at", [1e308, -5, "9" * 5000, float("inf")])
def test_a_notice_of_an_impossible_time(
    redis_store: RedisStore, client: redis.Redis, key_prefix: str, at: object
) -> None:
    """It is removed from its channel; those behind it are delivered."""
    decide(redis_store)
    run(redis_store, "db", "error")
    assert decide(redis_store) == ["db"]
    lane = f"{key_prefix}alerting:lane:ops|db"
    stamp, _, raw = client.lindex(lane, 0).partition(b"|")
    client.lpush(lane, stamp + b"|" + json.dumps(json.loads(raw) | {"at": at, "since": at}).encode())
    delivery = redis_store.alerts.take("ops", "token", lease_seconds=5)
    assert delivery is not None
    assert 1e9 < delivery.notice.at < 1e10
    assert redis_store.rejected_counts()["notice"] == 1


@pytest.mark.parametrize(
    "name", ["x" * 300, 'group:"', "group:\ud800".encode("utf-8", "surrogatepass"), b"\xff", 'monitor:x","status":"ok']
)
def test_a_state_of_a_crafted_name(
    redis_store: RedisStore, client: redis.Redis, key_prefix: str, name: str | bytes
) -> None:
    """It is no state; it is counted and removed, and the others are read."""
    run(redis_store, "db")
    client.hset(f"{key_prefix}states", name, client.hget(f"{key_prefix}states", "db"))
    reader = RedisStore(redis_store_url(client), prefix=key_prefix, retries=False)
    assert set(reader.states.read().states) == set(reader.states.changes(None).states) == {"db"}
    reader.close()
    assert set(redis_store.states.read().states) == {"db"}
    assert client.hkeys(f"{key_prefix}states") == [b"db"]
    assert redis_store.rejected_counts()["state"] == 1


def redis_store_url(client: redis.Redis) -> str:
    """The URL of the server that a client is connected to."""
    arguments = client.connection_pool.connection_kwargs
    return f"redis://{arguments['host']}:{arguments['port']}/0"


def test_a_state_with_numbers_beyond_all_range(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """It is no state, and the next run begins anew."""
    run(redis_store, "db")
    raw = json.loads(client.hget(f"{key_prefix}states", "db"))
    for change in ({"a": 1e308}, {"n": 2**53}, {"r": raw["r"] | {"d": {"percent": 10**400}}}):
        client.hset(f"{key_prefix}states", "db", json.dumps(raw | change))
        assert redis_store.states.read(["db"]).states == {}
    run(redis_store, "db", "error")
    assert state_of(redis_store, "db") is not None


def test_meta_and_dispatch_of_odd_values(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """Readers and dispatchers go on, as after a flush."""
    run(redis_store, "db")
    client.hset(f"{key_prefix}meta", mapping={"epoch": b"\xff", "change": "1e308", "token": "9" * 5000})
    client.hset(f"{key_prefix}dispatch", mapping={"cursor": "9" * 5000, "since": "inf", "claim": "x" * 10**6})
    assert redis_store.states.dispatched_at() is None
    cursor = redis_store.states.changes(None).cursor
    assert "db" in redis_store.states.changes(cursor).states or redis_store.states.changes(cursor).states == {}
    assert redis_store.states.claim_window("a") is not None
    run(redis_store, "db", "error")
    assert redis_store.states.changes(cursor).states["db"].status is Status.ERROR
    client.set(f"{key_prefix}flight:db", "9" * 5000 + ":1:x")
    run(redis_store, "db", "ok")
    client.set(f"{key_prefix}flight:db", "1:1:x", ex=10**8)
    run(redis_store, "db", "error")


def test_a_version_that_is_none_does_not_stop_decisions(
    redis_store: RedisStore, client: redis.Redis, key_prefix: str
) -> None:
    """Whatever bytes it has, and for however long another one has claimed the turn."""
    decide(redis_store)
    client.hset(f"{key_prefix}alerting", "version", b"\xff")
    client.set(f"{key_prefix}alerting:turn", "another", ex=10**8)
    run(redis_store, "db", "error")
    assert decide(redis_store) == ["db"]
    client.set(f"{key_prefix}alerting:flight:ops", "another", ex=10**8)
    client.hset(f"{key_prefix}alerting:channel:ops", mapping={"hold": "9" * 5000, "failures": "x", "tries:db": "y"})
    assert redis_store.alerts.due(["ops"]) == ["ops"]
    delivery = redis_store.alerts.take("ops", "token", lease_seconds=5)
    assert delivery is not None
    redis_store.alerts.retry(delivery, after_seconds=0, pause_channel_seconds=0, reason="why")
    redis_store.alerts.overview()


def test_a_channel_of_a_crafted_name(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """It is one field of the dead letter, whatever is in it."""
    decide(redis_store)
    run(redis_store, "db", "error")
    decide(redis_store)
    name, lane = 'x","notice":{"a":"b"},"y":"', f"{key_prefix}alerting:lane:"
    client.copy(f"{lane}ops|db", f"{lane}{name}|db")
    client.zadd(f"{key_prefix}alerting:due:{name}", {"db": 1})
    client.sadd(f"{key_prefix}alerting:channels", name)
    assert redis_store.alerts.retire(configured_channels=["ops"], before=time.time() + 60) == 1
    assert [letter.channel for letter in redis_store.alerts.overview().dead_letters] == [name]


def test_broken_alerts_and_silences_are_removed(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """And counted once."""
    decide(redis_store)
    run(redis_store, "db", "error")
    decide(redis_store)
    alert = json.loads(client.hget(f"{key_prefix}alerting:alerts", "db"))
    for name, change in {"a": {"since": 1e308}, "b": {"sequence": 2**70}, "c": {"check": 'group:"'}}.items():
        client.hset(f"{key_prefix}alerting:alerts", name, json.dumps(alert | change))
    client.hset(f"{key_prefix}alerting:silences", "x", "junk")
    assert [alert.check for alert in redis_store.alerts.overview().alerts] == ["db"]
    assert client.hkeys(f"{key_prefix}alerting:alerts") == [b"db"]
    assert client.hlen(f"{key_prefix}alerting:silences") == 0
    assert dict(redis_store.rejected_counts()) == {"alert": 3, "silence": 1}


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 20, "x"])
def test_an_index_entry_of_5000_digits(
    redis_store: RedisStore, client: redis.Redis, key_prefix: str, digits: str
) -> None:
    """Packing and reading history go on; packing removes it."""
    run(redis_store, "db")
    now = redis_store.states.now()
    for key in ("open", "blocks:raw", "blocks:roll"):
        client.zadd(key_prefix + key, {f"db|{digits}": 1, f"{'y' * 300}|1": 2})
    client.hset(f"{key_prefix}blocks", mapping={"raw": digits, "roll": digits, "bytes": digits})
    history = redis_store.history
    assert history.reaches().raw is not None
    assert len(history.samples("db", now - 60)) == 1
    assert history.rollups(["db"], now - 60)["db"]
    assert history.uptimes(["db"], {"day": 86_400.0}, 3)["db"].windows
    history.compact(now + 7200)
    assert client.zcard(f"{key_prefix}open") == 0
    assert len(history.samples("db", now - 60)) == 1
    assert redis_store.rejected_counts()["index_entry"] == 2


@pytest.mark.parametrize("score", [float("inf"), -float("inf"), 2.0**60, -5.0])
def test_a_size_that_is_no_size(redis_store: RedisStore, client: redis.Redis, key_prefix: str, score: float) -> None:
    """It is taken off, and the budget is kept as before."""
    run(redis_store, "db")
    now = redis_store.states.now()
    redis_store.history.compact(now + 7200)
    client.zadd(f"{key_prefix}blocks:raw", {"db|1": score})
    client.hdel(f"{key_prefix}blocks", "bytes")
    done = redis_store.history.compact(now + 7200)
    assert 0 < done.kept_bytes < 10_000
    assert client.zscore(f"{key_prefix}blocks:raw", "db|1") is None


def test_lines_that_are_no_samples(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """They are counted and go with the next packing; the samples between them stay."""
    run(redis_store, "db")
    now = redis_store.states.now()
    key = f"{key_prefix}open:db:{int(now // 3600)}"
    at = round(now * 1e6)
    lines = [
        b"x" * 10**6,
        b"\xff",
        f"[{at},0,{10**400},null,{{}}]",
        f'[{at},0,5,"\\ud800",{{}}]',
        f"[{at},true,5,null,{{}}]",
    ]
    client.lpush(key, *lines)
    client.rpush(key, *lines)
    assert len(redis_store.history.samples("db", now - 60)) == 1
    redis_store.history.compact(now + 7200)
    assert client.exists(key) == 0
    assert len(redis_store.history.samples("db", now - 60)) == 1
    assert redis_store.rejected_counts()["sample"] == 10


def test_dead_letters_that_fill_the_server(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """They are not copied for each who asks for alerts, and go with the next decision."""
    client.lpush(f"{key_prefix}alerting:dead", b"x" * 64_000_000)
    assert redis_store.alerts.overview().dead_letters == ()
    alerting.decide(Config(), store=redis_store.states, outbox=redis_store.alerts)
    assert client.exists(f"{key_prefix}alerting:dead") == 0


def test_lines_that_fill_the_server(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """What is longer than any hour of ours is not copied at each read; the check's next run begins the hour anew."""
    run(redis_store, "db")
    key = f"{key_prefix}open:db:{int(redis_store.states.now() // 3600)}"
    client.rpush(key, b"x" * 64_000_000)
    assert len(redis_store.history.samples("db", redis_store.states.now() - 60)) == 0
    run(redis_store, "db")
    assert client.memory_usage(key) < 10_000
    assert len(redis_store.history.samples("db", redis_store.states.now() - 60)) == 1


def test_a_memory_that_unpacks_to_300_megabytes(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """The run has no memory, as after a flush; it is removed, so that the next run does not unpack it again."""
    packing = zlib.compressobj(9)
    bomb = b"".join(packing.compress(bytes(10**6)) for _ in range(300)) + packing.flush()
    client.hset(f"{key_prefix}memory", "db", bomb)
    assert redis_store.states.take("db", "run-1", lease_seconds=5).memory is None
    assert redis_store.rejected_counts()["memory"] == 1
    assert not client.hexists(f"{key_prefix}memory", "db")


def test_a_beacon_of_300_megabytes_is_removed_unread(
    redis_store: RedisStore, client: redis.Redis, key_prefix: str
) -> None:
    """By the first round that meets it, and without sending it to anybody."""
    fleet, keys = redis_store.workers, Keys.of(key_prefix)
    write_beacon(client, keys, "w@h", fleet.report().now)
    client.hset(keys.beacons, "big", "")
    client.hset(keys.beacons, "w2", b"x" * 300_000_000)
    client.set(f"{key_prefix}fleet", b"x" * 100_000_000)
    before = client.info("stats")["total_net_output_bytes"]
    sighting = fleet.report()
    assert list(sighting.beacons) == ["w@h"]
    assert sighting.round_state == b""
    assert client.info("stats")["total_net_output_bytes"] - before < 100_000
    assert client.hkeys(keys.beacons) == [b"w@h"]


def write_beacon(client: redis.Redis, keys: Keys, node: str, now: float) -> None:
    """What an agent writes."""
    beacon = Beacon(node, "h", 1, "prefork", 2, 10.0, 100.0)
    client.hset(keys.beacons, node, f"{round(now * 1e6)}|{encode(beacon)}")


def test_300000_fields_of_junk_are_removed_by_short_scripts(
    redis_store: RedisStore, server: RedisServer, client: redis.Redis, key_prefix: str
) -> None:
    """States, alerts, beacons, heartbeats and memories: no script looks at all of them, and all are cleared."""
    run(redis_store, "db")
    decide(redis_store)
    run(redis_store, "web", "error")
    decide(redis_store)
    keys = Keys.of(key_prefix)
    fleet = redis_store.workers
    write_beacon(client, keys, "w@h", fleet.report().now)
    hashes = [
        f"{key_prefix}states",
        f"{key_prefix}alerting:alerts",
        keys.beacons,
        keys.heartbeats,
        f"{key_prefix}memory",
    ]
    script = "for i = 1, 10000 do redis.call('HSET', KEYS[1], 'junk' .. (ARGV[1] + i), 'junk') end"
    for key in hashes:
        for first in range(0, MANY, 10_000):
            client.eval(script, 1, key, first)
    client.config_resetstat()
    assert state_of(redis_store, "db") is not None
    assert {"db", "web"} <= set(redis_store.states.changes(None).states)
    redis_store.rejected_counts()
    assert set(redis_store.states.read().states) == {"db", "web"}
    assert "w@h" in fleet.report().beacons
    redis_store.alerts.overview()
    scripts = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert scripts >= 4 * (MANY - 20_000) / FIELDS_AT_A_TIME
    for key in hashes:
        assert client.hlen(key) <= 20_000, key
    redis_store.states.read()
    redis_store.alerts.overview()
    assert client.hlen(f"{key_prefix}states") == 2
    assert sum(redis_store.rejected_counts().values()) >= 4 * (MANY - 20_000)


def test_junk_in_the_index_of_history(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """300,000 members: packing removes them and packs what is there."""
    run(redis_store, "db")
    now = redis_store.states.now()
    script = "for i = 1, 10000 do redis.call('ZADD', KEYS[1], ARGV[1] + i, 'junk' .. (ARGV[1] + i)) end"
    for first in range(0, MANY, 10_000):
        client.eval(script, 1, f"{key_prefix}open", first)
    redis_store.history.compact(now + 7200)
    assert client.zcard(f"{key_prefix}open") == 0
    assert len(redis_store.history.samples("db", now - 60)) == 1


def test_what_was_set_aside_is_shown(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """``monitor:store`` warns, with the number for everybody and the kinds for the authorised, and recovers."""

    def look() -> None:
        run_self_check({"db": check("db")}, store=redis_store, interval_seconds=5, outcomes=OUTCOMES)

    run(redis_store, "db")
    look()
    before = state_of(redis_store, self_check.STORE)
    assert before is not None
    assert (before.status, before.result.data["values_set_aside"]) == (Status.OK, 0)
    client.hset(f"{key_prefix}states", 'group:"', "{}")
    look()
    look()
    state = state_of(redis_store, self_check.STORE)
    assert state is not None
    assert (state.status, state.result.reason) == (Status.WARNING, "values_set_aside")
    assert state.result.data["values_set_aside"] == 1
    assert state.result.detail == {"state": 1}
    later = self_check.judge_store(
        state.result.detail, state, state.result.observed_at + self_check.REJECTED_SECONDS + 10
    )
    assert (later.status, later.data["values_set_aside"]) == (Status.OK, 1)


def test_what_an_agent_reads_back(server: RedisServer, client: redis.Redis, key_prefix: str) -> None:
    """The agent's scripts read fields of a short length, remove what is longer, and repair keys of another type."""
    keys, link = Keys.of(key_prefix), AgentLink(server.url, key_prefix, "w@h", "w@h", timeout_seconds=2)
    beacon = Beacon("w@h", "h", 1, "prefork", 2, 10.0, 100.0)
    for junk in (b"9" * 5000, b"9" * 10**7, b"\xff", b"9" * 17 + b"|1|x"):
        client.hset(keys.beacons, "w@h", junk)
        client.hset(keys.heartbeats, "worker:w@h", junk)
        client.hset(keys.emitted, "worker:w@h", junk)
        seen = link.write(beacon)
        assert (seen.executed_us, seen.emitted_us) == (None, None)
    for key in keys:
        client.set(key, "no hash")
    link.write(beacon)
    client.hset(keys.heartbeats, "worker:w@h", b"9" * 5000)
    agent_scripts.run(client, agent_scripts.EXECUTED, (keys.heartbeats,), ("worker:w@h", 5, "w@h"))
    assert client.hget(keys.heartbeats, "worker:w@h").startswith(b"5|")
    assert client.hget(keys.beacons, "w@h")
    link.close()
