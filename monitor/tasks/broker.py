"""The watched broker, as the rounds over the workers use it: over the connection of our own Celery application."""

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
from kombu.transport.redis import Channel as RedisChannel

from monitor.agent import formats
from monitor.agent.protocol import EXPIRES_SECONDS, HEARTBEAT
from monitor.lib.kombu_redis import bindings_key, queue_keys, raw_client
from monitor.lib.redaction import scrub
from monitor.ports.workers import BrokerSnapshot, BrokerUnavailable, QueueDepth
from monitor.tasks.broker_errors import is_missing_queue
from monitor.tasks.publish import Publisher

CONTROL = "celery.pidbox"
"""The exchange to which Celery's workers bind a queue each for remote control."""

LOOKED_THROUGH = 100
"""So many messages of a queue are looked through for our heartbeats, at most."""


class CeleryBroker:
    """A :class:`monitor.ports.workers.Broker` behind a Celery application.

    On Redis one round trip tells all lengths and heads; on other brokers (AMQP) queues are declared passively, which
    tells how many consume them: one that holds messages and has no consumer counts as one whose head stands still.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._publisher = Publisher(app)
        self._bound = 0
        self._content_types = formats.available()

    def snapshot(self, queues: Iterable[str], *, heads: Container[str]) -> BrokerSnapshot:
        """How many messages wait in ``queues``, which is next in those in ``heads``, and which workers it knows."""
        with self._failures(), self._app.producer_or_acquire() as producer:
            channel = producer.channel
            if isinstance(channel, RedisChannel):
                sight, self._bound = _look_at_redis(channel, list(queues), heads)
            else:
                found = {queue: _declared(producer.connection, queue) for queue in queues}
                sight = BrokerSnapshot({queue: depth for queue, depth in found.items() if depth is not None})
        return dataclasses.replace(sight, content_types=self._content_types)

    def send(self, heartbeats: Iterable[tuple[str, tuple[Any, ...], str]]) -> None:
        """Send heartbeats to the queues: a worker or a queue each, when they are sent; in these content types.

        Those of queues end when a worker joins meanwhile: it may have no ``monitor.install(app)``, and log them.
        """
        with self._failures():
            self._publisher.send_each(
                HEARTBEAT,
                (
                    (queue, arguments, serializer, _waits_seconds(arguments))
                    for queue, arguments, serializer in self._until_somebody_joins(heartbeats)
                ),
            )

    def remove(self, queues: Iterable[str]) -> None:
        """Remove queues that nobody consumes any more."""
        with self._failures(), self._app.producer_or_acquire() as producer:
            channel = producer.channel
            if isinstance(channel, RedisChannel):
                # Kombu would remove only what it has declared itself.
                keys = [key for queue in queues for key in queue_keys(channel, queue)]
                raw_client(channel).delete(*keys)
                return
            for queue in queues:
                _delete(producer.connection, queue)

    def take_back(self, queues: Iterable[str]) -> Mapping[str, int]:
        """Remove our heartbeats from queues of few messages, and nothing else; how many there were in each.

        Only on Redis, where a message is a value in a list. On AMQP others' messages would be taken and returned.
        """
        with self._failures(), self._app.producer_or_acquire() as producer:
            channel = producer.channel
            if not isinstance(channel, RedisChannel):
                return {}
            client = raw_client(channel)
            return {queue: sum(_take_back(client, key) for key in queue_keys(channel, queue)) for queue in queues}

    def _until_somebody_joins(
        self, heartbeats: Iterable[tuple[str, tuple[Any, ...], str]]
    ) -> Iterator[tuple[str, tuple[Any, ...], str]]:
        for queue, arguments, content_type in heartbeats:
            if arguments[0] == "queue" and self._somebody_joined():
                return
            yield queue, arguments, formats.SERIALIZERS[content_type]

    def _somebody_joined(self) -> bool:
        with self._app.producer_or_acquire() as producer:
            channel = producer.channel
            if not isinstance(channel, RedisChannel):
                return False
            return bool(raw_client(channel).scard(bindings_key(channel, CONTROL)) > self._bound)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        expected: tuple[type[Exception], ...] = (KombuError, redis.RedisError, OSError, *self._publisher.errors)
        try:
            yield
        except expected as error:
            raise BrokerUnavailable(scrub(f"{type(error).__name__}: {error}")) from None


def _waits_seconds(heartbeat: tuple[Any, ...]) -> float | None:
    """Return how long a heartbeat may wait, where the broker counts that: not in a queue of the project's own, whose
    dead letters it would become.
    """
    return EXPIRES_SECONDS if heartbeat[0] == "worker" else None


def _look_at_redis(channel: Any, queues: list[str], heads: Container[str]) -> tuple[BrokerSnapshot, int]:
    """What is seen, and how many queues are bound for remote control."""
    commands = raw_client(channel).pipeline(transaction=False)
    keys = {queue: queue_keys(channel, queue) for queue in queues}
    for queue in queues:
        for key in keys[queue]:
            commands.llen(key)
            if queue in heads:
                commands.lindex(key, -1)  # kombu pushes to the left
    commands.smembers(bindings_key(channel, CONTROL))
    commands.info("server")
    *answers, bindings, info = commands.execute(raise_on_error=False)
    left = iter(answers)
    depths = {queue: _depth(left, len(keys[queue]), queue in heads) for queue in queues}
    server = info.get("run_id") if isinstance(info, dict) else None
    members = bindings if isinstance(bindings, set | list) else ()
    return BrokerSnapshot(depths, frozenset(_nodes(members, channel.sep)), server), len(members)


def _depth(answers: Iterator[Any], priorities: int, has_head: bool) -> QueueDepth:
    pending, heads = 0, []
    for _ in range(priorities):
        length = next(answers)
        if isinstance(length, Exception):
            raise length  # not a list, or not permitted
        pending += length
        if has_head and isinstance(head := next(answers), bytes | str):
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
    found = [value for value in client.lrange(key, 0, LOOKED_THROUGH - 1) if _is_heartbeat(value)]
    return sum(client.lrem(key, 1, value) for value in found)  # 0 for one that a worker has taken meanwhile


def _is_heartbeat(value: bytes | str) -> bool:
    try:
        return bool(json.loads(value)["headers"]["task"] == HEARTBEAT)
    except (ValueError, TypeError, LookupError, RecursionError):
        return False


def _declared(connection: Any, queue: str) -> QueueDepth | None:
    """None for a queue that another connection has to itself. A channel of its own: what is refused closes it."""
    with closing(connection.channel()) as channel:
        try:
            found = channel.queue_declare(queue=queue, passive=True)
        except connection.channel_errors as error:
            if isinstance(error, amqp.ResourceLocked):
                return None
            if not is_missing_queue(error):
                raise
            return QueueDepth(0, None, 0)
    pending, consumers = int(found.message_count), getattr(found, "consumer_count", None)
    return QueueDepth(pending, "no consumer" if pending and consumers == 0 else None, consumers)


def _delete(connection: Any, queue: str) -> None:
    # Refused when it is consumed after all, or was deleted.
    with closing(connection.channel()) as channel, suppress(*connection.channel_errors):
        channel.queue_delete(queue, if_unused=True)
