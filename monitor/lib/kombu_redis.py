"""Keys in which kombu stores queues and bindings on Redis, and a client to read them."""

from __future__ import annotations

from typing import Any

import redis


def raw_client(channel: Any) -> Any:
    """Return a client on the channel's connections that adds no key prefix. Kombu's own adds it to some commands only.

    `Redis.from_pool` is not used: its client closes the pool.
    """
    return redis.Redis(connection_pool=channel.client.connection_pool)


def queue_keys(channel: Any, queue: str) -> list[str]:
    """Return the keys of a queue's lists in the order in which kombu reads them.

    They are ``queue`` for priority 0 and ``queue SEP N`` for the others (kombu's ``Channel._q_for_pri``).
    """
    priorities = sorted(set(channel.priority_steps))
    return [channel.global_keyprefix + channel._q_for_pri(queue, priority) for priority in priorities]


def bindings_key(channel: Any, exchange: str) -> str:
    """Return the key of the set of an exchange's bindings: routing key, pattern, queue, joined by ``channel.sep``."""
    return str(channel.global_keyprefix + channel.keyprefix_queue % (exchange,))
