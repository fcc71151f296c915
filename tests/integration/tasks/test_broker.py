"""The watched broker: what waits in its queues, what is next, whom it knows."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from monitor.agent.formats import JSON
from monitor.agent.protocol import HEARTBEAT
from monitor.ports.workers import BrokerUnavailable, QueueDepth
from monitor.tasks.broker import CeleryBroker
from tests.support.processes import free_port, wait_for
from tests.support.rabbitmq_server import RabbitServer, rabbitmq_server
from tests.support.redis_server import RedisServer

__all__ = ["rabbitmq_server"]


@pytest.fixture(params=["", "shop:"], ids=["no prefix", "global_keyprefix"])
def app(redis_server: RedisServer, request: pytest.FixtureRequest) -> Iterator[Celery]:
    """An application on the session's server, in a database that other tests leave alone."""
    with Celery(broker=f"{redis_server.url[:-1]}7", set_as_current=False) as app:
        app.conf.broker_transport_options = {"global_keyprefix": request.param}
        yield app


@pytest.fixture
def queue() -> str:
    """A queue that no other test uses."""
    return f"q{uuid.uuid4().hex[:8]}"


def test_messages_are_counted_over_all_priorities(app: Celery, queue: str) -> None:
    """And the head is another one when a message of any priority was taken."""
    broker = CeleryBroker(app)
    assert broker.snapshot([queue], heads={queue}).queues == {queue: QueueDepth(0)}
    app.send_task("t", queue=queue)
    app.send_task("t", queue=queue, priority=9)
    two = broker.snapshot([queue, "other"], heads={queue}).queues
    assert (two[queue].pending, two["other"]) == (2, QueueDepth(0))
    assert two[queue].head is not None
    app.send_task("t", queue=queue)
    assert broker.snapshot([queue], heads={queue}).queues[queue] == QueueDepth(3, two[queue].head), (
        "it is behind the first"
    )
    assert broker.snapshot([queue], heads=()).queues[queue] == QueueDepth(3)
    with app.connection_for_read() as connection:
        taken = connection.default_channel.basic_get(queue, no_ack=True)
        assert taken is not None
    left = broker.snapshot([queue], heads={queue}).queues[queue]
    assert (left.pending, left.head != two[queue].head) == (2, True)


def test_heartbeats_are_sent_as_tasks(app: Celery, queue: str) -> None:
    """By name, with their arguments, to the queue itself; they are gone with the queue."""
    broker = CeleryBroker(app)
    broker.send([(queue, ("queue", queue, 1), JSON), (queue, ("worker", "w@h", 2), JSON)])
    with app.connection_for_read() as connection:
        first = connection.default_channel.basic_get(queue, no_ack=True)
    assert first.headers["task"] == HEARTBEAT
    assert first.headers["ignore_result"] is True
    assert json.loads(first.body)[0] == ["queue", queue, 1]
    assert first.delivery_info["exchange"] == ""
    assert broker.snapshot([queue], heads=()).queues[queue].pending == 1
    broker.remove([queue])
    assert broker.snapshot([queue], heads=()).queues[queue].pending == 0


def test_our_heartbeats_are_taken_back(app: Celery, queue: str) -> None:
    """Those and nothing else, whatever their priority; none from a queue that is no list of messages."""
    broker = CeleryBroker(app)
    app.send_task("t", queue=queue)
    broker.send([(queue, ("queue", queue, 1), JSON), (queue, ("queue", queue, 2), JSON)])
    app.send_task("t", queue=queue, priority=9)
    app.send_task(HEARTBEAT, ("queue", queue, 3), queue=queue, priority=9)
    with app.connection_for_write() as connection:
        connection.default_channel.client.lpush(queue, "no message", '{"headers": 7}')
    assert broker.snapshot([queue], heads=()).queues[queue].pending == 7
    assert broker.take_back([queue, "missing"]) == {queue: 3, "missing": 0}
    assert broker.snapshot([queue], heads=()).queues[queue].pending == 4
    assert broker.take_back([queue]) == {queue: 0}


def test_the_next_heartbeat_is_asked_for_when_the_last_is_sent(app: Celery, queue: str) -> None:
    """So that the stamp of each says when it was sent."""
    broker, seen = CeleryBroker(app), []

    def each() -> Iterator[tuple[str, tuple[Any, ...], str]]:
        for number in range(3):
            seen.append(broker.snapshot([queue], heads=()).queues[queue].pending)
            yield queue, ("queue", queue, number), JSON

    broker.send(each())
    assert seen == [0, 1, 2]


def test_workers_that_can_be_controlled_are_known(app: Celery, redis_server: RedisServer) -> None:
    """Every worker with remote control, by its node name, instrumented or not."""
    node = f"w@{uuid.uuid4().hex[:8]}"
    with app.connection_for_write() as connection:
        app.control.mailbox.get_queue(node)(connection.default_channel).declare()
        assert node in CeleryBroker(app).snapshot([], heads=()).nodes


def test_the_server_is_told_apart_from_another_start(app: Celery) -> None:
    """By its run id."""
    assert len(CeleryBroker(app).snapshot([], heads=()).server or "") == 40


def test_a_queue_that_is_no_list_is_said(app: Celery, queue: str, redis_server: RedisServer) -> None:
    """BrokerUnavailable: verdicts are suspended, the round goes on."""
    prefix = app.conf.broker_transport_options["global_keyprefix"]
    with redis_server.client(db=7) as client:
        client.set(f"{prefix}{queue}", "x")
        with pytest.raises(BrokerUnavailable, match="WRONGTYPE"):
            CeleryBroker(app).snapshot([queue], heads=())
        client.delete(f"{prefix}{queue}")


def test_a_broker_that_refuses_is_said_without_its_password() -> None:
    """BrokerUnavailable from everything."""
    with Celery(broker=f"redis://:geheim@127.0.0.1:{free_port()}/0", set_as_current=False) as app:
        app.conf.broker_transport_options = {"socket_connect_timeout": 0.2, "max_retries": 0}
        broker = CeleryBroker(app)
        for attempt in (
            lambda: broker.snapshot(["q"], heads=()),
            lambda: broker.send([("q", ("queue", "q", 1), JSON)]),
            lambda: broker.remove(["q"]),
        ):
            with pytest.raises(BrokerUnavailable) as error:
                attempt()
            assert "geheim" not in str(error.value)


def test_other_brokers_are_asked_queue_by_queue() -> None:
    """Kombu's transport in memory in place of AMQP: passive declarations, a queue that is missing is empty."""
    with Celery(broker="memory://", set_as_current=False) as app:
        broker = CeleryBroker(app)
        with app.connection_for_write() as connection:
            connection.default_channel.queue_declare("there")
            broker.send([("there", ("queue", "there", 1), JSON)])
            depths = broker.snapshot(["there", "missing"], heads={"there"}).queues
            assert depths["there"].pending == 1
            assert depths["missing"].pending == 0
            broker.remove(["there", "missing"])


def test_rabbitmq(rabbitmq_server: RabbitServer, queue: str) -> None:
    """Consumers are counted; a queue that holds something and has none stands still; one in use is not removed."""
    with Celery(broker=rabbitmq_server.url, set_as_current=False) as app:
        broker = CeleryBroker(app)
        assert broker.snapshot([queue], heads={queue}).queues == {queue: QueueDepth(0, None, 0)}
        with app.connection_for_read() as connection:
            channel = connection.default_channel
            channel.queue_declare(queue, durable=False, auto_delete=False)
            assert broker.snapshot([queue], heads=()).queues == {queue: QueueDepth(0, None, 0)}
            broker.send([(queue, ("queue", queue, 1), JSON)])
            wait_for(lambda: broker.snapshot([queue], heads=()).queues[queue].pending == 1, what="it is there")
            assert broker.snapshot([queue], heads=()).queues == {queue: QueueDepth(1, "no consumer", 0)}
            channel.basic_consume(queue, callback=lambda message: None, no_ack=False)
            wait_for(lambda: broker.snapshot([queue], heads=()).queues[queue].consumers == 1, what="it is consumed")
            broker.remove([queue, "missing"])
            assert broker.snapshot([queue], heads=()).queues[queue].consumers == 1
        wait_for(lambda: broker.snapshot([queue], heads=()).queues[queue].consumers == 0, what="nobody consumes it")
        broker.remove([queue])
        with app.connection_for_read() as connection, pytest.raises(connection.channel_errors, match="NOT_FOUND"):
            connection.default_channel.queue_declare(queue, passive=True)


def test_heartbeats_become_no_dead_letters(rabbitmq_server: RabbitServer, queue: str) -> None:
    """RabbitMQ drops those in a worker's own queue after a while, and leaves those in a project's queue alone."""
    with Celery(broker=rabbitmq_server.url, set_as_current=False) as app, app.connection_for_read() as connection:
        channel = connection.default_channel
        channel.queue_declare(queue, exclusive=True)
        CeleryBroker(app).send([(queue, ("worker", "w@h", 1), JSON), (queue, ("queue", queue, 2), JSON)])
        found = [wait_for(lambda: channel.basic_get(queue, no_ack=True), what="a heartbeat") for _ in range(2)]
    assert [message.properties.get("expiration") for message in found] == ["300000", None]


def test_a_queue_that_another_connection_has_to_itself(rabbitmq_server: RabbitServer, queue: str) -> None:
    """RabbitMQ lets nobody else look at it: its depth is not known, and those of the others are."""
    with Celery(broker=rabbitmq_server.url, set_as_current=False) as app, app.connection_for_read() as owner:
        owner.default_channel.queue_declare(queue, exclusive=True)
        broker = CeleryBroker(app)
        assert broker.snapshot([queue, f"{queue}.missing"], heads=()).queues == {
            f"{queue}.missing": QueueDepth(0, None, 0)
        }
        assert broker.take_back([queue]) == {}
