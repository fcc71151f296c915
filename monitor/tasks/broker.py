"""Broker of the watched workers, for rounds. It uses the connections of the monitor's own Celery application."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any

import amqp
import redis
from celery import Celery
from kombu.exceptions import KombuError

from monitor.agent import formats
from monitor.agent.protocol import EXPIRES_SECONDS, HEARTBEAT
from monitor.lib.kombu_redis import bindings_key, is_redis, queue_keys, raw_client
from monitor.lib.redaction import scrub
from monitor.ports.workers import BrokerSnapshot, BrokerUnavailable, QueueDepth
from monitor.tasks.broker_errors import is_missing_queue
from monitor.tasks.publish import Publisher

CONTROL = "celery.pidbox"
"""Exchange for remote control. Each Celery worker binds one queue to it."""

MAX_SEARCHED = 100
"""Number of newest messages of a queue that are searched for heartbeats."""


class CeleryBroker:
    """:class:`monitor.ports.workers.Broker` for the broker of a Celery application.

    The head of a queue is a digest of its oldest messages: if the head stays the same, the queue does not move. On
    Redis, one round trip reads the lengths and heads of all queues. On other brokers (AMQP) each queue is declared
    passively, which returns the number of its messages and of its consumers, but no message. There, a queue with
    messages and without a consumer gets a constant head, and other queues get none.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._publisher = Publisher(app)
        self._bound_count = 0
        self._content_types = formats.available()

    def snapshot(self, queues: Iterable[str], *, heads: Container[str]) -> BrokerSnapshot:
        """Return the lengths of ``queues``, the heads of those in ``heads``, and the workers that the broker knows."""
        with self._failures(), self._app.producer_or_acquire() as producer:
            channel = producer.channel
            if is_redis(producer.connection):
                snapshot, self._bound_count = _redis_snapshot(channel, list(queues), heads)
            else:
                depths = {queue: _declare(producer.connection, queue) for queue in queues}
                snapshot = BrokerSnapshot({queue: depth for queue, depth in depths.items() if depth is not None})
        return dataclasses.replace(snapshot, content_types=self._content_types)

    def send(self, heartbeats: Iterable[tuple[str, tuple[Any, ...], str]]) -> None:
        """Send heartbeats, each given as queue, arguments and content type.

        The first argument is ``worker`` for a direct heartbeat and ``queue`` for a heartbeat to a project's queue. If a
        worker has joined since the snapshot, the remaining heartbeats to queues are not sent. This worker may lack
        ``monitor.install(app)``, and would log each heartbeat as an unknown task.
        """
        with self._failures():
            self._publisher.send_each(
                HEARTBEAT,
                (
                    (queue, arguments, serializer, _expiration_seconds(arguments))
                    for queue, arguments, serializer in self._until_worker_joins(heartbeats)
                ),
            )

    def remove(self, queues: Iterable[str]) -> None:
        """Delete queues. On AMQP, a queue that has a consumer is kept."""
        with self._failures(), self._app.producer_or_acquire() as producer:
            channel = producer.channel
            if is_redis(producer.connection):
                # Kombu would delete only queues that it has declared itself.
                keys = [key for queue in queues for key in queue_keys(channel, queue)]
                raw_client(channel).delete(*keys)
                return
            for queue in queues:
                _delete(producer.connection, queue)

    def take_back(self, queues: Iterable[str]) -> Mapping[str, int]:
        """Remove the heartbeats among the newest 100 messages of each queue, and return their number by queue.

        Does nothing on AMQP, where a search would consume and requeue the project's messages. On Redis, a message is a
        value in a list.
        """
        with self._failures(), self._app.producer_or_acquire() as producer:
            channel = producer.channel
            if not is_redis(producer.connection):
                return {}
            client = raw_client(channel)
            return {queue: sum(_take_back(client, key) for key in queue_keys(channel, queue)) for queue in queues}

    def _until_worker_joins(
        self, heartbeats: Iterable[tuple[str, tuple[Any, ...], str]]
    ) -> Iterator[tuple[str, tuple[Any, ...], str]]:
        for queue, arguments, content_type in heartbeats:
            if arguments[0] == "queue" and self._has_worker_joined():
                return
            yield queue, arguments, formats.SERIALIZERS[content_type]

    def _has_worker_joined(self) -> bool:
        with self._app.producer_or_acquire() as producer:
            channel = producer.channel
            if not is_redis(producer.connection):
                return False
            return bool(raw_client(channel).scard(bindings_key(channel, CONTROL)) > self._bound_count)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        expected: tuple[type[Exception], ...] = (KombuError, redis.RedisError, OSError, *self._publisher.errors)
        try:
            yield
        except expected as error:
            raise BrokerUnavailable(scrub(f"{type(error).__name__}: {error}")) from None


def _expiration_seconds(heartbeat: tuple[Any, ...]) -> float | None:
    """Return the expiration for AMQP brokers; None for a project's queue, which may dead-letter expired messages."""
    return EXPIRES_SECONDS if heartbeat[0] == "worker" else None


def _redis_snapshot(channel: Any, queues: list[str], heads: Container[str]) -> tuple[BrokerSnapshot, int]:
    """Return the snapshot of a Redis broker, and the number of queues that are bound for remote control."""
    commands = raw_client(channel).pipeline(transaction=False)
    keys = {queue: queue_keys(channel, queue) for queue in queues}
    for queue in queues:
        for key in keys[queue]:
            commands.llen(key)
            if queue in heads:
                commands.lindex(key, -1)  # kombu pushes to the left
    commands.smembers(bindings_key(channel, CONTROL))
    commands.info("server")
    *replies, bindings, info = commands.execute(raise_on_error=False)
    unread = iter(replies)
    depths = {queue: _depth(unread, len(keys[queue]), queue in heads) for queue in queues}
    server = info.get("run_id") if isinstance(info, dict) else None
    members = bindings if isinstance(bindings, set | list) else ()
    return BrokerSnapshot(depths, frozenset(_nodes(members, channel.sep)), server), len(members)


def _depth(replies: Iterator[Any], key_count: int, has_head: bool) -> QueueDepth:
    pending, heads = 0, []
    for _ in range(key_count):
        length = next(replies)
        if isinstance(length, Exception):
            raise length  # the key is not a list, or the command is not permitted
        pending += length
        if has_head and isinstance(head := next(replies), bytes | str):
            heads.append(head if isinstance(head, bytes) else head.encode())
    digest = hashlib.blake2b(b"\0".join(heads), digest_size=8).hexdigest() if heads else None
    return QueueDepth(pending, digest)


def _nodes(members: Iterable[Any], separator: str) -> Iterator[str]:
    for member in members:
        text = member.decode(errors="replace") if isinstance(member, bytes) else str(member)
        queue = text.rpartition(separator)[2]
        if queue.endswith(f".{CONTROL}"):
            yield queue.removesuffix(f".{CONTROL}")


def _take_back(client: Any, key: str) -> int:
    heartbeats = [value for value in client.lrange(key, 0, MAX_SEARCHED - 1) if _is_heartbeat(value)]
    # LREM returns 0 for a heartbeat that a worker has received in the meantime.
    return sum(client.lrem(key, 1, value) for value in heartbeats)


def _is_heartbeat(value: bytes | str) -> bool:
    try:
        return bool(json.loads(value)["headers"]["task"] == HEARTBEAT)
    except (ValueError, TypeError, LookupError, RecursionError):
        return False


def _declare(connection: Any, queue: str) -> QueueDepth | None:
    """Declare a queue passively and return its depth; None for an exclusive queue of another connection.

    The declaration uses its own channel, because the broker closes the channel if it refuses the declaration.
    """
    with closing(connection.channel()) as channel:
        try:
            declared = channel.queue_declare(queue=queue, passive=True)
        except connection.channel_errors as error:
            if isinstance(error, amqp.ResourceLocked):
                return None
            if not is_missing_queue(error):
                raise
            return QueueDepth(0, None, 0)
    pending, consumers = int(declared.message_count), getattr(declared, "consumer_count", None)
    return QueueDepth(pending, "no consumer" if pending and consumers == 0 else None, consumers)


def _delete(connection: Any, queue: str) -> None:
    # The broker refuses to delete a queue that has a consumer, or that does not exist.
    with closing(connection.channel()) as channel, suppress(*connection.channel_errors):
        channel.queue_delete(queue, if_unused=True)
