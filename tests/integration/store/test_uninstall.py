"""Keys that `monitor uninstall` deletes from a store, and the keys that it keeps."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from monitor.agent import protocol
from monitor.agent.identity import Identity, encode
from monitor.agent.protocol import Beacon
from monitor.ports.uninstall import PlaceOfAnother, PlaceUnavailable
from monitor.store.redis.store import RedisStore
from monitor.store.redis.uninstall import StorePlace, StrayAgentsPlace
from tests.contract.present import GOLDEN
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer, StartRedis

SHOP, BLOG = Identity("shop", ("shop",)), Identity("blog", ("blog",))


@pytest.fixture
def server(start_redis: StartRedis) -> RedisServer:
    """A server of the test's own, because all of its keys are compared."""
    return start_redis()


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client


def beacon(client: redis.Redis, node: str, project: Identity, *, age: float = 0.0, **fields: object) -> Beacon:
    """Write a beacon, as an agent does, `age` seconds ago."""
    seconds, microseconds = client.time()
    value = Beacon(node, "h", 7, "prefork", 2, 10.0, 60.0, queues=("celery",), instance=f"{hash(node) % 10**9:016d}")
    value = replace(value, direct_queue=protocol.direct_queue(f"{node}.{value.instance}"), **fields)  # type: ignore[arg-type]
    value = protocol.with_project(value, project)
    at = int(seconds) * 10**6 + int(microseconds) - int(age * 1e6)
    client.hset("monitor:beacons", node, f"{at}|{protocol.encode(value)}")
    client.hset("monitor:heartbeats", f"worker:{value.target}", f"{at}|{at}|{node}|")
    return value


def test_a_store_of_an_earlier_version_is_emptied(server: RedisServer, client: redis.Redis) -> None:
    """Every key of the recorded store is known by its name."""
    recorded = json.loads(gzip.decompress((GOLDEN / "store-0.1.0.json.gz").read_bytes()))["store"]
    client.mset(dict.fromkeys(recorded, "x"))
    client.delete("monitor:project", "monitor:beacons")
    place = StorePlace(server.url, "monitor:", SHOP)
    assert place.find().kept == ()
    place.remove()
    assert client.dbsize() == 0


def test_keys_of_others_are_kept(server: RedisServer, client: redis.Redis) -> None:
    """Another prefix, a prefix that begins with ours, and a key of another program below our prefix."""
    others = {"states", "shop:monitor:states", "monitor:blog:states", "monitor:mine", "monitorstates", "monitor:open:x"}
    client.mset(dict.fromkeys(others, "x"))
    client.mset(dict.fromkeys(["monitor:states", "monitor:open:celery@h:12", "monitor:alerting:lane:hook|x"], "x"))
    place = StorePlace(server.url, "monitor:", SHOP)
    assert place.find().count == 3
    assert {name for items in place.find().kept for name in items.names} == {
        "monitor:blog:states",
        "monitor:mine",
        "monitor:open:x",
    }
    assert place.remove().count == 3
    assert {key.decode() for key in client.scan_iter()} == others


def test_many_keys_are_deleted(server: RedisServer, client: redis.Redis) -> None:
    """In many replies and commands."""
    with client.pipeline() as commands:
        for number in range(5000):
            commands.set(f"monitor:raw:check-{number}:1", "x")
            commands.set(f"user:{number}", "x")
        commands.execute()
    assert StorePlace(server.url, "monitor:", SHOP).remove().count == 5000
    assert client.dbsize() == 5000


def test_a_store_of_another_project_is_not_touched(server: RedisServer, client: redis.Redis) -> None:
    client.mset({"monitor:project": encode(BLOG), "monitor:states": "x"})
    place = StorePlace(server.url, "monitor:", SHOP)
    for action in (place.find, place.remove):
        with pytest.raises(PlaceOfAnother, match="blog"):
            action()
    assert client.dbsize() == 2
    assert StorePlace(server.url, "monitor:", BLOG).remove().count == 2


def test_who_still_writes_is_named(server: RedisServer, client: redis.Redis) -> None:
    """Roles, and workers whose beacons are fresh. A goodbye or an old beacon is no worker."""
    store = RedisStore(server.url)
    store.roles.announce("beat", "host", 12)
    beacon(client, "now@h", SHOP)
    beacon(client, "left@h", SHOP, leaving=True)
    beacon(client, "killed@h", SHOP, age=21.0)
    place = StorePlace(server.url, "monitor:", SHOP)
    assert place.find().users == ("monitor beat (host host, pid 12)", "agent in the worker now@h (host h, pid 7)")
    store.roles.leave("beat", "host", 12)
    assert [user for user in place.find().users if "beat" in user] == []
    assert place.workers().nodes == {"now@h", "left@h", "killed@h"}


def test_workers_of_another_project_in_this_store_are_kept(server: RedisServer, client: redis.Redis) -> None:
    """Their fields stay in the hashes that all agents write to, and they do not stop the uninstallation."""
    client.set("monitor:project", encode(SHOP))
    beacon(client, "ours@h", SHOP, leaving=True)
    theirs = beacon(client, "theirs@h", BLOG)
    place = StorePlace(server.url, "monitor:", SHOP)
    assert place.find().users == ()
    place.remove()
    assert client.hkeys("monitor:beacons") == [b"theirs@h"]
    assert client.hkeys("monitor:heartbeats") == [f"worker:{theirs.target}".encode()]
    assert sorted(client.keys()) == [b"monitor:beacons", b"monitor:heartbeats"]
    assert place.find().count == 0


def test_a_store_that_does_not_answer() -> None:
    with pytest.raises(PlaceUnavailable):
        StorePlace(f"redis://127.0.0.1:{free_port()}/0", "monitor:", SHOP).find()


def test_the_record_of_a_role_expires(server: RedisServer, client: redis.Redis) -> None:
    """A role that was killed does not stop an uninstallation for long."""
    roles = RedisStore(server.url).roles
    roles.announce("worker", "host:with:colons", 1)
    assert roles.running() == [("worker", "host:with:colons", 1)]
    assert 10_000 < client.pttl("monitor:role:worker:host:with:colons:1") <= 15_000


def test_agents_with_another_prefix(server: RedisServer, client: redis.Redis) -> None:
    """Keys of agents without the monitor's `key_prefix` are removed only if all these agents are this project's."""
    beacon(client, "ours@h", SHOP, leaving=True)
    place = StrayAgentsPlace(server.url, "monitor:", SHOP)
    theirs = beacon(client, "theirs@h", BLOG)
    assert place.remove().count == 0
    client.hdel("monitor:beacons", theirs.node)
    client.set("monitor:states", "x")
    assert place.remove().count == 0
    client.delete("monitor:states")
    beacon(client, "running@h", SHOP)
    assert place.find().users == ("agent in the worker running@h (host h, pid 7)",)
    assert place.remove().count == 2
    assert client.dbsize() == 0
