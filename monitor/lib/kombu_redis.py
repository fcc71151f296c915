"""Where kombu keeps queues on Redis, and a client that reads there."""

from __future__ import annotations

from typing import Any

import redis


def raw_client(channel: Any) -> Any:
    """A client on the channel's connections that adds no prefix: kombu's own does so for some commands only."""
    return redis.Redis(
        connection_pool=channel.client.connection_pool
    )  # `from_pool` would close the pool with the client


def queue_keys(channel: Any, queue: str) -> list[str]:
    """The lists of a queue, ``queue`` for priority 0 and ``queue SEP N`` for the others, in the order they are read.

    (kombu's ``Channel._q_for_pri``)
    """
    priorities = sorted(set(channel.priority_steps))
    return [channel.global_keyprefix + channel._q_for_pri(queue, priority) for priority in priorities]


def bindings_key(channel: Any, exchange: str) -> str:
    """The set in which an exchange's bindings are: routing key, pattern and queue, with ``channel.sep`` between."""
    return str(channel.global_keyprefix + channel.keyprefix_queue % (exchange,))
