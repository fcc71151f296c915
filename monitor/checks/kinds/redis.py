"""Check that a Redis or Valkey server accepts writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import redis
from pydantic import AfterValidator, Field, SecretStr
from redis.sentinel import SentinelConnectionPool

from monitor.checks.base import Kind, Observation, from_config
from monitor.checks.failures import NETWORK_REASONS, io_timeout
from monitor.checks.levels import REASONS, level
from monitor.checks.redis_failures import SERVER_REASONS, failure
from monitor.checks.registry import register
from monitor.config.urls import redis_py_url
from monitor.lib.attempts import address_count, share
from monitor.lib.redis_pool import connection_pool
from monitor.lib.redis_urls import FORMS
from monitor.model.checks import Outcome

KEY_EXPIRES_MS = 60_000
MB = 1024 * 1024


def _checked_url(value: SecretStr) -> SecretStr:
    url = redis_py_url(value)
    connection_pool(url.get_secret_value(), timeout_seconds=1.0)
    return url


@register("redis")
@dataclass(frozen=True, kw_only=True)
class Redis(Kind):
    """Send `PING` and a `SET` of a key that expires after 60 s, in one round trip and without retries."""

    url: Annotated[SecretStr, AfterValidator(_checked_url), Field(description=f"URL of the server: {FORMS}")] = (
        from_config("redis_url", repr=False)
    )
    key_prefix: Annotated[
        str,
        Field(description="prefix of the written key `<prefix>canary`; the Redis user needs permission to write it"),
    ] = from_config("key_prefix", default="monitor:")
    warning_memory_percent: Annotated[
        float | None,
        Field(
            gt=0,
            le=100,
            description="threshold of the used memory, in percent of maxmemory: the check is a warning above it. Used "
            "only if maxmemory is set and the eviction policy is noeviction: the server then refuses writes at 100",
        ),
    ] = 90.0

    reports: ClassVar[Mapping[str, str]] = {
        "used_memory_mb": "used memory, in MiB; absent if the Redis user may not call INFO",
        "used_memory_percent": "used memory, in percent of maxmemory; absent unless maxmemory is set and the policy is "
        "noeviction",
    }
    reasons: ClassVar[Mapping[str, str]] = {**NETWORK_REASONS, **SERVER_REASONS, **REASONS}
    example: ClassVar[Mapping[str, Any]] = {"url": "redis://127.0.0.1:6379/0"}
    series: ClassVar[tuple[str, ...]] = ("used_memory_mb",)

    def observe(self, timeout_seconds: float) -> Observation:
        """Connect, ping the server, write a key and read the memory use."""
        try:
            with client(self.url.get_secret_value(), io_timeout(timeout_seconds)) as connection:
                commands = connection.pipeline(transaction=False)
                commands.ping()
                commands.set(f"{self.key_prefix}canary", "1", px=KEY_EXPIRES_MS)
                commands.info("memory")
                pong, written, memory = commands.execute(raise_on_error=False)
        except (redis.RedisError, OSError) as error:
            raise failure(error) from error
        for answer in (pong, written):
            if isinstance(answer, Exception):
                raise failure(answer)
        # If the user may not call INFO, the check does not fail, and the numbers are absent.
        return Observation({} if isinstance(memory, Exception) else _memory(memory))

    def judge(self, observation: Observation) -> Outcome:
        """Return a warning if the used memory is above its threshold, so that the server may soon refuse writes."""
        percent = observation.data.get("used_memory_percent", 0.0)
        status, reason = level(percent, self.warning_memory_percent, None)
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
