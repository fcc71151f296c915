"""Queues, bindings, exchanges and messages of the monitor in the watched broker."""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import redis
from kombu.exceptions import KombuError
from kombu.transport.redis import Channel as RedisChannel

from monitor.agent.protocol import DIRECT_QUEUE_PREFIX, HEARTBEAT, direct_queue
from monitor.lib.kombu_redis import queue_keys, raw_client
from monitor.lib.redaction import scrub
from monitor.model.uninstall import Contents, StoredItems
from monitor.ports.uninstall import PlaceUnavailable

TIMEOUT_SECONDS = 5.0
SCANNED_PER_REPLY = 1000
MESSAGES_SEARCHED = 100_000
"""Number of the newest messages of a project's queue that are searched for heartbeats."""

NAMES_KEPT = 5
_BINDING_KEYS = "_kombu.binding*"
_DEADLINES_KEY = "_kombu.binding_deadlines"
_PIDBOX_SUFFIX = ".celery.pidbox"


@dataclass(frozen=True, slots=True)
class OwnQueues:
    """Names that belong to one monitor in its broker.

    - ``queues``: the queues that the monitor's workers consume.
    - ``targets``: targets of the workers' direct queues (`monitor.agent.protocol.direct_queue`).
    - ``nodes``: node names of the workers that the store knows.
    - ``project_queues``: queues of the project, which may contain heartbeats.
    """

    queues: tuple[str, ...]
    targets: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    project_queues: frozenset[str] = frozenset()


@dataclass
class _Found:
    """Items that were found, by kind, with their names and their number."""

    names: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, name: str, count: int = 1) -> None:
        """Add ``count`` items of a kind."""
        self.names.setdefault(kind, []).append(name)
        self.counts[kind] = self.counts.get(kind, 0) + count

    def items(self) -> tuple[StoredItems, ...]:
        """Return the items, sorted by kind."""
        return tuple(
            StoredItems(kind, count, tuple(sorted(self.names[kind])[:NAMES_KEPT]))
            for kind, count in sorted(self.counts.items())
        )


class BrokerPlace:
    """A :class:`monitor.ports.uninstall.Place`: the broker that the monitor watches and uses for its own tasks.

    On Redis, waiting heartbeats are also removed from the project's queues: a worker without the agent would log each
    of them as an unregistered task. On AMQP a single message cannot be removed from a queue.
    """

    def __init__(self, url: str, options: Mapping[str, Any], own: OwnQueues) -> None:
        self._url, self._options, self._own = url, dict(options), own

    @property
    def title(self) -> str:
        """Return the address of the broker."""
        url = urlsplit(self._url.partition(";")[0])
        return f"broker {url.hostname or ''}{f':{url.port}' if url.port else ''}{url.path}"

    def find(self) -> Contents:
        """Return the queues, bindings, exchanges and messages of the monitor."""
        return self._guarded(removes=False)

    def remove(self) -> Contents:
        """Delete them. Return what was deleted."""
        return self._guarded(removes=True)

    def _guarded(self, *, removes: bool) -> Contents:
        options = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS, **self._options}
        kombu: Any = importlib.import_module("kombu")
        try:
            with kombu.Connection(self._url, transport_options=options, connect_timeout=TIMEOUT_SECONDS) as connection:
                connection.ensure_connection(max_retries=1, timeout=TIMEOUT_SECONDS)
                channel = connection.default_channel
                if isinstance(channel, RedisChannel):
                    return _RedisBroker(channel, self._own, removes).contents()
                return _other_broker(connection, self._own, removes=removes)
        except (KombuError, redis.RedisError, OSError) as error:
            raise PlaceUnavailable(scrub(f"the broker does not answer: {type(error).__name__}: {error}")) from None


class _RedisBroker:
    def __init__(self, channel: Any, own: OwnQueues, removes: bool) -> None:
        self._channel, self._own, self._removes = channel, own, removes
        self._prefix = str(channel.global_keyprefix)
        self._client = raw_client(channel)
        self._found = _Found()
        self._kept: list[str] = []

    def contents(self) -> Contents:
        direct = self._direct_queues()
        for queue in self._own.queues:
            self._queue("queues", queue)
        for queue in direct:
            self._queue("direct queues of workers", queue)
        queues = {*self._own.queues, *direct}
        self._bindings(queues)
        self._unacknowledged(queues)
        for queue in sorted(self._own.project_queues - queues):
            self._heartbeats(queue)
        kept = (StoredItems("direct queues of other workers", len(self._kept), tuple(self._kept[:NAMES_KEPT])),)
        return Contents(self._found.items(), kept if self._kept else ())

    def _direct_queues(self) -> list[str]:
        """Return the direct queues of this monitor's workers, and of workers that no longer exist.

        The direct queue of a worker that the store does not know belongs to another monitor if the worker runs.
        """
        names = {self._base_name(key) for key in self._scan(f"{DIRECT_QUEUE_PREFIX}*", "list")}
        own = {direct_queue(target) for target in self._own.targets}
        running = {*self._running_nodes()} - self._own.nodes
        for name in sorted(names - own):
            target = name.removeprefix(DIRECT_QUEUE_PREFIX)
            (self._kept.append if {target, target.rpartition(".")[0]} & running else own.add)(name)
        return sorted(own)

    def _base_name(self, key: str) -> str:
        return key.partition(str(self._channel.sep))[0]

    def _running_nodes(self) -> Iterator[str]:
        for member in self._client.smembers(f"{self._prefix}_kombu.binding.celery.pidbox"):
            queue = _text(member).rpartition(str(self._channel.sep))[2]
            if queue.endswith(_PIDBOX_SUFFIX):
                yield queue.removesuffix(_PIDBOX_SUFFIX)

    def _queue(self, kind: str, queue: str) -> None:
        keys = [key for key in queue_keys(self._channel, queue) if self._client.type(key) == b"list"]
        if keys:
            self._found.add(kind, queue)
            self._found.add("waiting messages", queue, sum(self._client.llen(key) for key in keys))
            if self._removes:
                self._client.delete(*keys)

    def _bindings(self, queues: set[str]) -> None:
        for name in self._scan(_BINDING_KEYS, "set"):
            key = self._prefix + name
            members = [each for each in self._client.smembers(key) if self._bound_queue(each) in queues]
            if members:
                self._found.add("bindings", name, len(members))
                if self._removes:
                    self._client.srem(key, *members)
        deadlines = [queue for queue in queues if self._client.zscore(self._prefix + _DEADLINES_KEY, queue) is not None]
        if deadlines:
            self._found.add("bindings", _DEADLINES_KEY, len(deadlines))
            if self._removes:
                self._client.zrem(self._prefix + _DEADLINES_KEY, *deadlines)

    def _bound_queue(self, member: bytes | str) -> str:
        return _text(member).rpartition(str(self._channel.sep))[2]

    def _unacknowledged(self, queues: set[str]) -> None:
        """Remove messages that a killed worker had not acknowledged. Kombu would return them to their queues later."""
        unacked, index = (
            f"{self._prefix}{name}" for name in (self._channel.unacked_key, self._channel.unacked_index_key)
        )
        tags = [
            tag for tag, raw in self._client.hscan_iter(unacked, count=SCANNED_PER_REPLY) if self._is_own(raw, queues)
        ]
        if tags:
            self._found.add("unacknowledged messages", str(self._channel.unacked_key), len(tags))
            if self._removes:
                self._client.hdel(unacked, *tags)
                self._client.zrem(index, *tags)

    def _is_own(self, raw: bytes | str, queues: set[str]) -> bool:
        try:
            message, _, queue = json.loads(raw)
            return queue in queues or bool(queue in self._own.project_queues and _task_of(message) == HEARTBEAT)
        except (ValueError, TypeError, LookupError, RecursionError):
            return False

    def _heartbeats(self, queue: str) -> None:
        for key in queue_keys(self._channel, queue):
            if self._client.type(key) != b"list":
                continue
            heartbeats = [value for value in self._newest_messages(key) if _is_heartbeat(value)]
            if heartbeats:
                self._found.add("heartbeats in the project's queues", queue, len(heartbeats))
                for value in heartbeats if self._removes else ():
                    self._client.lrem(key, 1, value)

    def _newest_messages(self, key: str) -> Iterator[bytes]:
        for start in range(0, MESSAGES_SEARCHED, SCANNED_PER_REPLY):
            page = self._client.lrange(key, start, start + SCANNED_PER_REPLY - 1)
            yield from page
            if len(page) < SCANNED_PER_REPLY:
                return

    def _scan(self, pattern: str, type_name: str) -> list[str]:
        """Return the names of the keys of a type, without the broker's key prefix."""
        match = f"{_escaped(self._prefix)}{pattern}"
        keys = self._client.scan_iter(match=match, count=SCANNED_PER_REPLY, _type=type_name)
        return sorted({_text(key).removeprefix(self._prefix) for key in keys})


def _other_broker(connection: Any, own: OwnQueues, *, removes: bool) -> Contents:
    """Return the queues and exchanges of the monitor in a broker other than Redis, and delete them if ``removes``.

    A queue that has a consumer, or an exchange that has bindings to other queues, is in use and is kept.
    """
    found = _Found()
    direct = [direct_queue(target) for target in sorted(own.targets)]
    for kind, queues in (("queues", own.queues), ("direct queues of workers", direct)):
        for queue in queues:
            waiting = _waiting(connection, queue)
            if waiting is None:
                continue
            found.add(kind, queue)
            if waiting:
                found.add("waiting messages", queue, waiting)
            if removes:
                with closing(connection.channel()) as channel, _missing_or_used(connection):
                    channel.queue_delete(queue)
    # Celery declares a direct exchange with the name of each queue that a worker consumes.
    for name in _exchanges(connection, own.queues):
        found.add("exchanges", name)
        if removes:
            with closing(connection.channel()) as channel, _missing_or_used(connection):
                channel.exchange_delete(name, if_unused=True)
    return Contents(found.items())


def _waiting(connection: Any, queue: str) -> int | None:
    with closing(connection.channel()) as channel, _missing_or_used(connection):
        return int(channel.queue_declare(queue=queue, passive=True).message_count)
    return None


def _exchanges(connection: Any, names: Iterable[str]) -> Iterator[str]:
    """Yield the names of the exchanges that exist, and that are as Celery declares them for a queue."""
    kombu: Any = importlib.import_module("kombu")
    for name in names:
        with closing(connection.channel()) as channel, _missing_or_used(connection):
            channel.exchange_declare(exchange=name, type="direct", passive=True)
            # The broker refuses this declaration if the exchange has another type: then it is not the monitor's.
            kombu.Exchange(name, type="direct", durable=True)(channel).declare()
            yield name


@contextlib.contextmanager
def _missing_or_used(connection: Any) -> Iterator[None]:
    """Suppress the errors of a broker that does not have the queue or exchange, or that refuses to delete it."""
    with contextlib.suppress(*connection.channel_errors):
        yield


def _is_heartbeat(value: bytes | str) -> bool:
    try:
        return bool(_task_of(json.loads(value)) == HEARTBEAT)
    except (ValueError, TypeError, LookupError, RecursionError):
        return False


def _task_of(message: Any) -> Any:
    return message["headers"]["task"]


def _text(value: bytes | str) -> str:
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in "*?[]\\" else character for character in text)
