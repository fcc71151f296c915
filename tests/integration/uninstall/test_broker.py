"""Items of the monitor in a broker on Redis: what `monitor uninstall` removes, and what it keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis
from celery import Celery

from monitor.agent.protocol import HEARTBEAT, direct_queue
from monitor.model.uninstall import Contents
from monitor.ports.uninstall import PlaceUnavailable
from monitor.uninstall.broker import BrokerPlace, OwnQueues
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer, StartRedis

QUEUES = ("monitor", "monitor.dispatch", "monitor.rounds")
OWN = OwnQueues(QUEUES, frozenset({"ours@h.1"}), frozenset({"ours@h"}), frozenset({"celery"}))


@pytest.fixture
def server(start_redis: StartRedis) -> RedisServer:
    """A server of the test's own, because all of its keys are compared."""
    return start_redis()


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client


def message(task: str) -> str:
    return json.dumps({"headers": {"task": task}, "body": "", "properties": {}})


def counts(contents: Contents) -> dict[str, int]:
    return {items.kind: items.count for items in contents.items}


def declare(server: RedisServer, *queues: str, **options: str) -> None:
    """Consume queues as a Celery worker does, so that kombu writes its bindings."""
    app = Celery(broker=server.url, broker_transport_options=options, set_as_current=False)
    with app.connection() as connection:
        for queue in queues:
            app.amqp.queues.select_add(queue)
            app.amqp.queues[queue].bind(connection.default_channel).declare()


@pytest.mark.parametrize("prefix", ["", "shop[1]:"])
def test_all_traces_go(server: RedisServer, client: redis.Redis, prefix: str) -> None:
    """Queues with priorities, bindings, unacknowledged messages, heartbeats; also with a key prefix of the broker."""
    options = {"global_keyprefix": prefix} if prefix else {}
    declare(server, "celery", **options)
    client.lpush(f"{prefix}celery", *(message("shop.task") for _ in range(3)))
    client.hset(f"{prefix}unacked", "theirs", json.dumps([json.loads(message("shop.task")), "", "celery"]))
    client.zadd(f"{prefix}unacked_index", {"theirs": 1.0})
    client.hset(f"{prefix}unacked", "strange", "not JSON")
    client.set(f"{prefix}monitor.worker.text", "not a queue")
    before = {key: client.dump(key) for key in client.scan_iter()}
    declare(server, *QUEUES, **options)
    for key in ("monitor", "monitor.dispatch", "monitor\x06\x166", direct_queue("ours@h.1"), direct_queue("gone@h.2")):
        client.lpush(f"{prefix}{key}", message("monitor.tasks.dispatch"), message("monitor.tasks.dispatch"))
    for tag, task, queue in (("a", "monitor.tasks.run_check", "monitor"), ("b", HEARTBEAT, "celery")):
        client.hset(f"{prefix}unacked", tag, json.dumps([json.loads(message(task)), "", queue]))
        client.zadd(f"{prefix}unacked_index", {tag: 1.0})
    client.lpush(f"{prefix}celery", message(HEARTBEAT))
    place = BrokerPlace(server.url, options, OWN)
    listed = counts(place.find())
    assert listed == {
        "queues": 2,
        "direct queues of workers": 2,
        "waiting messages": 10,
        "bindings": listed["bindings"],
        "unacknowledged messages": 2,
        "heartbeats in the project's queues": 1,
    }
    assert listed["bindings"] >= 3
    assert counts(place.remove()) == listed
    assert {key: client.dump(key) for key in client.scan_iter()} == before
    assert counts(place.find()) == {}


def test_the_queue_of_another_monitors_worker_is_kept(server: RedisServer, client: redis.Redis) -> None:
    """The worker runs, by Celery's binding for remote control, and this monitor does not know it."""
    queue = direct_queue("theirs@h.0123456789abcdef")
    client.lpush(queue, message(HEARTBEAT))
    client.sadd("_kombu.binding.celery.pidbox", "\x06\x16\x06\x16theirs@h.celery.pidbox")
    contents = BrokerPlace(server.url, {}, OWN).remove()
    assert (contents.items, contents.kept[0].names) == ((), (queue,))
    assert client.llen(queue) == 1


def test_a_broker_that_does_not_answer() -> None:
    with pytest.raises(PlaceUnavailable):
        BrokerPlace(f"redis://:secret@127.0.0.1:{free_port()}/0", {}, OWN).find()
