"""Keys under which kombu stores queues and bindings in Redis, and a client to read these keys."""

from __future__ import annotations

from typing import Any

import redis


def is_redis(connection: Any) -> bool:
    """Return whether the messages of a kombu connection are in Redis.

    Kombu's module for Redis is not imported. Its import can fail where the broker is not Redis: if `packaging` is not
    installed, or if kombu does not support the version of redis-py.
    """
    return bool(connection.transport.driver_type == "redis")


def raw_client(channel: Any) -> Any:
    """Return a client that uses the channel's connection pool and adds no key prefix.

    Kombu's own client adds the key prefix to some commands only. `Redis.from_pool` is not used, because its client
    closes the pool.
    """
    return redis.Redis(connection_pool=channel.client.connection_pool)


def queue_keys(channel: Any, queue: str) -> list[str]:
    """Return the keys of a queue's lists, one for each priority, in the order in which kombu reads the lists.

    For priority 0 the key is the name of the queue. For priority N the key is the name, a separator and N (kombu's
    ``Channel._q_for_pri``).
    """
    priorities = sorted(set(channel.priority_steps))
    return [channel.global_keyprefix + channel._q_for_pri(queue, priority) for priority in priorities]


def bindings_key(channel: Any, exchange: str) -> str:
    """Return the key of the set that holds an exchange's bindings.

    Each binding is the routing key, the pattern and the queue, joined by ``channel.sep``.
    """
    return str(channel.global_keyprefix + channel.keyprefix_queue % (exchange,))
