"""Measurement of a Redis server, for the kinds that watch one: a ping, a written key and the memory use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import redis
from pydantic import Field
from redis.sentinel import SentinelConnectionPool

from monitor.checks.base import Observation
from monitor.checks.levels import level
from monitor.checks.redis_failures import failure
from monitor.lib.attempts import address_count, share
from monitor.lib.redis_pool import connection_pool
from monitor.model.checks import Outcome

KEY_EXPIRES_MS = 60_000
MB = 1024 * 1024

REPORTS: Mapping[str, str] = {
    "used_memory_mb": "used memory, in MiB; absent if the Redis user may not call INFO",
    "used_memory_percent": "used memory, in percent of maxmemory; absent unless maxmemory is set and the policy is "
    "noeviction",
}

WarningMemoryPercent = Annotated[
    float | None,
    Field(
        gt=0,
        le=100,
        description="threshold of the used memory, in percent of maxmemory: the check is a warning above it. Used "
        "only if maxmemory is set and the eviction policy is noeviction: the server then refuses writes at 100",
    ),
]


def measure(url: str, key: str, timeout_seconds: float, *, is_written: bool = True) -> dict[str, float]:
    """Connect, ping the server, write ``key`` and return the memory use. Raises CheckFailed.

    With ``is_written`` False, the key is read instead, because a replica refuses writes.
    """
    try:
        with client(url, timeout_seconds) as connection:
            commands = connection.pipeline(transaction=False)
            commands.ping()
            if is_written:
                commands.set(key, "1", px=KEY_EXPIRES_MS)
            else:
                commands.get(key)
            commands.info("memory")
            pong, answer, memory = commands.execute(raise_on_error=False)
    except (redis.RedisError, OSError) as error:
        raise failure(error) from error
    for each in (pong, answer):
        if isinstance(each, Exception):
            raise failure(each)
    # If the user may not call INFO, the check does not fail, and the numbers are absent.
    return {} if isinstance(memory, Exception) else _memory(memory)


def judge(observation: Observation, warning_memory_percent: float | None) -> Outcome:
    """Return a warning if the used memory is above its threshold, so that the server may soon refuse writes."""
    percent = observation.data.get("used_memory_percent", 0.0)
    status, reason = level(percent, warning_memory_percent, None)
    return Outcome(status, observation.data, reason)


def client(url: str, timeout_seconds: float) -> redis.Redis:
    """Return a client with a connection of its own. All attempts to connect together end within the timeout.

    redis-py's ten retries are turned off, and longer timeouts in the URL are shortened. If a host has several
    addresses, each gets an equal share of the timeout. With n Sentinels, each Sentinel gets 1 / (n + 1) of the timeout,
    so that one share remains for the master. Raises ValueError for a URL that redis-py does not support.
    """
    # set_client_info: redis-py sends its name after connecting and reads the response. If the server is about to close
    # the connection, this response contains the reason.
    pool = connection_pool(url, timeout_seconds=timeout_seconds, set_client_info=True)
    if isinstance(pool, SentinelConnectionPool):
        sentinels = pool.sentinel_manager.sentinels
        for sentinel in sentinels:
            limit = share(timeout_seconds, len(sentinels) + 1)
            sentinel.connection_pool.connection_kwargs.update(socket_timeout=limit, socket_connect_timeout=limit)
    elif host := pool.connection_kwargs.get("host"):
        limit = share(timeout_seconds, address_count(host, pool.connection_kwargs.get("port")))
        pool.connection_kwargs["socket_connect_timeout"] = limit
    return redis.Redis.from_pool(pool)


def _memory(info: Mapping[str, Any]) -> dict[str, float]:
    used, limit = info.get("used_memory", 0), info.get("maxmemory", 0)
    data: dict[str, float] = {"used_memory_mb": round(used / MB, 1)}
    if limit and info.get("maxmemory_policy") == "noeviction":
        data["used_memory_percent"] = round(used / limit * 100, 1)
    return data
