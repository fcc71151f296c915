"""What workers write into a real Redis, and what is made of it, whatever anybody has written there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis

from monitor.agent import scripts
from monitor.agent.connection import AgentConnection as AgentLink
from monitor.agent.protocol import ActiveTask, Beacon, Keys, direct_queue, encode, instance_target
from monitor.ports.store import StoreUnavailable
from monitor.store.redis.store import RedisStore
from monitor.store.redis.workers import RedisWorkers
from tests.support.redis_server import RedisServer, StartRedis


def beacon(node: str, **fields: object) -> Beacon:
    """A beacon with everything in it."""
    values = {
        "queues": ("celery",),
        "active": (ActiveTask("t", 1.5),),
        "active_count": 1,
        "versions": {"celery": "5.7"},
    }
    values |= {"vitals": {"cpu": {"percent": 1.5, "count": 2}}, "loop_lag_seconds": 0.1, **fields}
    return Beacon(node, "h", 1, "prefork", 2, 10.0, 100.0, **values)  # type: ignore[arg-type]


@pytest.fixture
def fleet(redis_server: RedisServer, key_prefix: str) -> Iterator[RedisWorkers]:
    """On the session's server."""
    store = RedisStore(redis_server.url, prefix=key_prefix)
    yield store.workers
    store.close()


@pytest.fixture
def keys(key_prefix: str) -> Keys:
    """Where agents write."""
    return Keys.of(key_prefix)


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A plain client."""
    with redis_server.client() as client:
        yield client


def test_nothing_is_there(fleet: RedisWorkers) -> None:
    """No worker yet; the server tells which it is."""
    sighting = fleet.report()
    assert (sighting.beacons, sighting.executed, sighting.round_state) == ({}, {}, b"")
    assert sighting.now > 1e9
    assert len(sighting.server or "") == 40
    assert sighting.up_seconds is not None


def test_beacons_and_heartbeats_are_read(fleet: RedisWorkers, keys: Keys, client: redis.Redis) -> None:
    """As they were written, stamps in seconds."""
    now = round(fleet.report().now * 1e6)
    client.hset(keys.beacons, "w@h", f"{now}|{encode(beacon('w@h'))}")
    client.hset(keys.heartbeats, "worker:w@h", f"{now - 2_000_000}|{now - 1_000_000}|w@h")
    client.hset(keys.heartbeats, "queue:a|b", f"{now}|{now}|x|y")
    sighting = fleet.report()
    assert sighting.beacons["w@h"].beacon == beacon("w@h")
    assert sighting.beacons["w@h"].at == now / 1e6
    assert sighting.executed["worker:w@h"].done_at - sighting.executed["worker:w@h"].sent_at == pytest.approx(1.0)
    assert sighting.executed["queue:a|b"].node == "x|y"


GARBAGE = [
    b"", b"|", b"1", b"x|{}", b"1|{}", b"1|[]", b"1|\xff", b"-1|{}", b"1|" + b"[" * 50_000, b"9" * 400 + b"|{}",
    b"1|" + b"x" * 70_000,
]  # fmt: skip
WRONG = [
    {"slots": "x"}, {"up_seconds": None}, {"up_seconds": float("nan")}, {"up_seconds": float("inf")}, {"slots": 1e400},
    {"queues": 5}, {"queues": ["\ud800"]}, {"vitals": {"cpu": 5}}, {"vitals": {"cpu": {"percent": "x"}}},
    {"versions": [1]}, {"active": [{"task": "t", "age_seconds": "nan"}]}, {"client_id": "x"}, {"reserved": None},
    {"host": "x" * 501},
]  # fmt: skip


def test_garbage_is_left_out_and_removed(fleet: RedisWorkers, keys: Keys, client: redis.Redis) -> None:
    """Whatever stands there, the next worker's beacon is read; a beacon under another's name is none."""
    now = round(fleet.report().now * 1e6)
    client.hset(keys.beacons, "w@h", f"{now}|{encode(beacon('w@h'))}")
    client.hset(keys.beacons, "other", f"{now}|{encode(beacon('w@h'))}")
    client.hset(keys.beacons, "future", f"{now + 60_000_000}|{encode(beacon('future'))}")
    client.hset(keys.beacons, b"\xff", f"{now}|{encode(beacon('w@h'))}")
    for number, raw in enumerate(GARBAGE):
        client.hset(keys.beacons, f"garbage{number}", raw)
        client.hset(keys.heartbeats, f"worker:garbage{number}", raw)
    for number, wrong in enumerate(WRONG):
        node = f"wrong{number}"
        value = {**json.loads(encode(beacon(node))), **wrong}
        client.hset(keys.beacons, node, f"{now}|{json.dumps(value)}")
    client.hset(keys.heartbeats, b"\xff", "1|1|x")
    client.hset(keys.heartbeats, "worker:gone@h", "1|1|gone@h")
    sighting = fleet.report()
    assert list(sighting.beacons) == ["w@h"]
    assert sighting.executed == {}
    assert client.hkeys(keys.beacons) == [b"w@h"]
    assert client.hlen(keys.heartbeats) == 0


def test_keys_of_the_wrong_type_are_as_good_as_absent(
    fleet: RedisWorkers, keys: Keys, client: redis.Redis, key_prefix: str
) -> None:
    """Reading and noting both work."""
    for _ in range(2):
        for key in (*keys, f"{key_prefix}fleet"):
            client.delete(key)
            client.rpush(key, "x")
        assert fleet.report().beacons == {}
        for key in (*keys, f"{key_prefix}fleet"):
            client.delete(key)
            client.rpush(key, "x")
        fleet.store_round(b"notes", emitted={"worker:w": 1.5})
        assert fleet.report().round_state == b"notes"


def test_notes_are_kept_and_workers_forgotten(fleet: RedisWorkers, keys: Keys, client: redis.Redis) -> None:
    """Thousands at once; what was sent is told to the agents in microseconds."""
    now = round(fleet.report().now * 1e6)
    nodes = [f"w{number}@h" for number in range(2500)]
    client.hset(keys.beacons, mapping={node: f"{now}|{encode(beacon(node))}" for node in nodes})
    client.hset(keys.heartbeats, mapping={f"worker:{node}": f"{now}|{now}|{node}" for node in nodes})
    fleet.store_round(b"\x00\xffnotes", emitted={f"worker:{node}": now / 1e6 for node in nodes})
    assert client.hget(keys.emitted, "worker:w7@h") == str(now).encode()
    assert len(fleet.report().beacons) == 2500
    fleet.store_round(b"more", emitted={}, removed=[beacon(node) for node in nodes[1:]])
    sighting = fleet.report()
    assert (sighting.round_state, list(sighting.beacons), list(sighting.executed)) == (
        b"more",
        ["w0@h"],
        ["worker:w0@h"],
    )
    assert client.hkeys(keys.emitted) == [b"worker:w0@h"]


def test_connections_are_known_by_number_and_name(fleet: RedisWorkers, redis_server: RedisServer) -> None:
    """A number that another client has now is no proof, nor is one that nobody has."""
    with redis_server.client() as here, redis_server.client() as nameless, redis_server.client() as other:
        here.client_setname("monitor-agent:here@h")
        other.client_setname("something-else")
        ids = {"here@h": here.client_id(), "nameless@h": nameless.client_id(), "reused@h": other.client_id()}
        asked = [beacon(node, client_id=number) for node, number in ids.items()]
        asked.append(beacon("gone@h", client_id=10**9))
        expected = {"here@h": True, "nameless@h": False, "reused@h": False, "gone@h": False}
        assert fleet.connected(asked) == expected
        asked.append(beacon("numberless@h"))
        assert fleet.connected(asked) == {**expected, "numberless@h": False}


def test_who_may_not_list_clients_cannot_tell(start_redis: StartRedis) -> None:
    """None, and everything else works."""
    server = start_redis()
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "limited", "on", ">pw", "~monitor:*", "+@all", "-client", "-info")
    store = RedisStore(f"redis://limited:pw@127.0.0.1:{server.port}/0")
    fleet = store.workers
    assert fleet.connected([beacon("w@h", client_id=1)]) is None
    sighting = fleet.report()
    assert (sighting.server, sighting.up_seconds) == (None, None)
    store.close()


def test_a_server_that_is_away_is_said(start_redis: StartRedis) -> None:
    """StoreUnavailable, whatever is asked."""
    server = start_redis()
    store = RedisStore(server.url, timeout_seconds=0.1)
    fleet = store.workers
    fleet.report()
    server.freeze()
    with pytest.raises(StoreUnavailable):
        fleet.report()
    with pytest.raises(StoreUnavailable):
        fleet.connected([beacon("w@h", client_id=1)])
    with pytest.raises(StoreUnavailable):
        fleet.store_round(b"", emitted={})
    server.thaw()
    store.close()


def start(node: str, instance: str, **fields: object) -> Beacon:
    """The beacon of one start of a worker."""
    own = direct_queue(instance_target(node, instance))
    return beacon(node, instance=instance, direct_queue=own, direct=True, **fields)


ONE, OTHER = "1" * 16, "2" * 16


@pytest.fixture
def agents(redis_server: RedisServer, key_prefix: str) -> Iterator[tuple[AgentLink, AgentLink]]:
    """The connections of two workers under one name."""
    links = tuple(
        AgentLink(redis_server.url, key_prefix, "w@h", instance_target("w@h", instance), timeout_seconds=2)
        for instance in (ONE, OTHER)
    )
    yield links[0], links[1]
    for link in links:
        link.close()


def test_two_workers_of_one_name_are_two_entries(
    fleet: RedisWorkers, keys: Keys, client: redis.Redis, agents: tuple[AgentLink, AgentLink]
) -> None:
    """However often each writes, by turns: both are read, and each hears of its own heartbeats alone."""
    one, other = agents
    for number in range(3):
        one.write(start("w@h", ONE, done=number))
        other.write(start("w@h", OTHER, done=number))
    sighting = fleet.report()
    targets = {instance: f"w@h.{instance}" for instance in (ONE, OTHER)}
    assert {target: seen.beacon.instance for target, seen in sighting.beacons.items()} == {
        target: instance for instance, target in targets.items()
    }
    assert {seen.beacon.done for seen in sighting.beacons.values()} == {2}
    assert client.hlen(keys.beacons) == 2
    fleet.store_round(b"", emitted={f"worker:{targets[OTHER]}": 5.0, f"worker:{targets[ONE]}": 7.0})
    scripts.run(client, scripts.EXECUTED, (keys.heartbeats,), (f"worker:{targets[OTHER]}", 5_000_000, f"w@h|{OTHER}"))
    assert one.write(start("w@h", ONE))[1:] == (None, 7_000_000)
    assert other.write(start("w@h", OTHER))[1:] == (5_000_000, 5_000_000)
    executed = fleet.report().executed[f"worker:{targets[OTHER]}"]
    assert (executed.node, executed.instance) == ("w@h", OTHER)


def test_one_of_two_is_forgotten(
    fleet: RedisWorkers, keys: Keys, client: redis.Redis, agents: tuple[AgentLink, AgentLink]
) -> None:
    """Wherever its beacon stands by now, and the other one stays."""
    one, other = agents
    one.write(start("w@h", ONE))
    read = fleet.report().beacons[f"w@h.{ONE}"].beacon
    other.write(start("w@h", OTHER))
    fleet.store_round(b"", emitted={f"worker:w@h.{ONE}": 1.0, f"worker:w@h.{OTHER}": 1.0}, removed=[read])
    assert list(fleet.report().beacons) == [f"w@h.{OTHER}"]
    assert client.hkeys(keys.beacons) == [b"w@h"]
    assert client.hkeys(keys.emitted) == [f"worker:w@h.{OTHER}".encode()]
    one.write(start("w@h", ONE))
    fleet.store_round(b"", emitted={}, removed=[start("w@h", ONE)])
    assert list(fleet.report().beacons) == [f"w@h.{OTHER}"]


def test_nothing_comes_after_a_goodbye_beside_another_worker(
    fleet: RedisWorkers, agents: tuple[AgentLink, AgentLink]
) -> None:
    """A beacon that was on its way when the goodbye was said changes nothing."""
    one, other = agents
    one.write(start("w@h", ONE))
    other.write(start("w@h", OTHER))
    one.write(start("w@h", ONE, leaving=True))
    one.write(start("w@h", ONE, done=9))
    other.write(start("w@h", OTHER))
    one.write(start("w@h", ONE, done=9))
    beacons = fleet.report().beacons
    assert beacons[f"w@h.{ONE}"].beacon.leaving
    assert not beacons[f"w@h.{OTHER}"].beacon.leaving


def test_an_agent_of_an_earlier_version_under_the_same_name(
    fleet: RedisWorkers, keys: Keys, client: redis.Redis, agents: tuple[AgentLink, AgentLink]
) -> None:
    """It overwrites what stands under the node, and what it has written is moved beside it."""
    old = beacon("w@h", instance="a" * 16, direct=True)
    now = round(fleet.report().now * 1e6)
    client.hset(keys.beacons, "w@h", f"{now}|{encode(old)}")
    assert list(fleet.report().beacons) == ["w@h"]
    agents[0].write(start("w@h", ONE))
    assert set(fleet.report().beacons) == {"w@h", f"w@h.{ONE}"}
    client.hset(keys.beacons, "w@h", f"{now + 1}|{encode(old)}")
    sighting = fleet.report()
    assert (list(sighting.beacons), sighting.beacons["w@h"].at) == (["w@h"], (now + 1) / 1e6)
    agents[0].write(start("w@h", ONE))
    assert set(fleet.report().beacons) == {"w@h", f"w@h.{ONE}"}


def test_restarts_without_a_monitor_do_not_fill_the_store(
    keys: Keys, client: redis.Redis, redis_server: RedisServer, key_prefix: str
) -> None:
    """Beyond five thousand entries a new start overwrites what the one before it has written."""
    client.hset(keys.beacons, mapping={f"w{number}": "x" for number in range(4998)})
    for number in range(6):
        instance = f"{number:016x}"
        link = AgentLink(redis_server.url, key_prefix, "w@h", instance_target("w@h", instance), timeout_seconds=2)
        link.write(start("w@h", instance))
        link.close()
    assert client.hlen(keys.beacons) == 5000
    assert f'"instance":"{5:016x}"'.encode() in client.hget(keys.beacons, "w@h")


def test_an_agent_that_may_not_remove(start_redis: StartRedis) -> None:
    """The documented permissions of an agent are enough; of two values of one start the newer one counts."""
    server = start_redis()
    permitted = ("+eval", "+evalsha", "+hget", "+hset", "+hstrlen", "+time", "+client|id", "+client|setname")
    with server.client() as admin:
        admin.execute_command(
            "ACL", "SETUSER", "agent", "on", ">pw", "resetchannels", "~monitor:*", "-@all", *permitted
        )
    url, store = f"redis://agent:pw@127.0.0.1:{server.port}/0", RedisStore(server.url)
    links = [AgentLink(url, "monitor:", "w@h", f"w@h.{instance}", timeout_seconds=2) for instance in (ONE, OTHER)]
    for number in range(3):
        for link, instance in zip(links, (ONE, OTHER), strict=True):
            link.write(start("w@h", instance, done=number))
    links[0].write(start("w@h", ONE, done=5))
    beacons = store.workers.report().beacons
    assert {target: seen.beacon.done for target, seen in beacons.items()} == {f"w@h.{ONE}": 5, f"w@h.{OTHER}": 2}
    with server.client() as admin:
        assert admin.hlen("monitor:beacons") == 2
    assert store.rejected_counts() == {}
    for link in links:
        link.close()
    store.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"direct_queue": "celery"},
        {"direct_queue": "monitor.worker."},
        {"direct_queue": 5},
        {"direct_queue": "monitor.worker." + "x" * 300},
        {"instance": 'a"b'},
        {"instance": "a" * 65},
    ],
    ids=str,
)
def test_a_queue_that_is_no_worker_s_own(
    fleet: RedisWorkers, keys: Keys, client: redis.Redis, wrong: dict[str, object]
) -> None:
    """Nothing is sent to it, and nothing of it removed: such a beacon is none."""
    now = round(fleet.report().now * 1e6)
    client.hset(keys.beacons, "w@h", f"{now}|{json.dumps(json.loads(encode(start('w@h', ONE))) | wrong)}")
    assert fleet.report().beacons == {}
    assert client.hlen(keys.beacons) == 0
