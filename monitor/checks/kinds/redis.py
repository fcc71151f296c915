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
from monitor.lib.attempts import addresses, share
from monitor.lib.redis_pool import connection_pool
from monitor.lib.redis_urls import FORMS
from monitor.model.checks import Outcome

KEY_EXPIRES_MS = 60_000
MB = 1024 * 1024


def _usable(value: SecretStr) -> SecretStr:
    url = redis_py_url(value)
    connection_pool(url.get_secret_value(), timeout_seconds=1.0)
    return url


@register("redis")
@dataclass(frozen=True, kw_only=True)
class Redis(Kind):
    """Send `PING` and a `SET` of a key that expires after 60 s, in one round trip and without retries."""

    url: Annotated[SecretStr, AfterValidator(_usable), Field(description=f"URL of the server: {FORMS}")] = from_config(
        "redis_url", repr=False
    )
    key_prefix: Annotated[
        str, Field(description="prefix of the written key, `<prefix>canary`; the user must have permission to write it")
    ] = from_config("key_prefix", default="monitor:")
    warning_memory_percent: Annotated[
        float | None,
        Field(
            gt=0,
            le=100,
            description="threshold in percent of maxmemory: the check is a warning above it. Only if maxmemory is set "
            "and the policy is noeviction: the server then refuses writes at 100",
        ),
    ] = 90.0

    reports: ClassVar[Mapping[str, str]] = {
        "used_memory_mb": "memory in use, in MiB; absent if the user may not call INFO",
        "used_memory_percent": "memory in use, in percent of maxmemory; only if it is set and the policy is noeviction",
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
        # Without the permission for INFO, the check does not fail; only the numbers are missing.
        return Observation({} if isinstance(memory, Exception) else _memory(memory))

    def judge(self, observation: Observation) -> Outcome:
        """Return a warning if the memory is nearly full and the server will then refuse writes."""
        percent = observation.data.get("used_memory_percent", 0.0)
        status, reason = level(percent, self.warning_memory_percent, None)
        return Outcome(status, observation.data, reason)


def client(url: str, timeout_seconds: float) -> redis.Redis:
    """Return a client with its own connection, whose attempts end within the timeout.

    redis-py's ten retries and longer timeouts in the URL have no effect. The addresses of a host share the timeout. The
    Sentinels share it with the master. Raises ValueError for a URL that redis-py does not support.
    """
    # With this, redis-py sends its name and reads the response first. A server that is about to close the connection
    # gives the reason in that response.
    pool = connection_pool(url, timeout_seconds=timeout_seconds, set_client_info=True)
    if isinstance(pool, SentinelConnectionPool):
        sentinels = pool.sentinel_manager.sentinels
        for sentinel in sentinels:
            limit = share(timeout_seconds, len(sentinels) + 1)
            sentinel.connection_pool.connection_kwargs.update(socket_timeout=limit, socket_connect_timeout=limit)
    elif host := pool.connection_kwargs.get("host"):
        limit = share(timeout_seconds, addresses(host, pool.connection_kwargs.get("port")))
        pool.connection_kwargs["socket_connect_timeout"] = limit
    return redis.Redis.from_pool(pool)


def _memory(info: Mapping[str, Any]) -> dict[str, float]:
    used, limit = info.get("used_memory", 0), info.get("maxmemory", 0)
    data: dict[str, float] = {"used_memory_mb": round(used / MB, 1)}
    if limit and info.get("maxmemory_policy") == "noeviction":
        data["used_memory_percent"] = round(used / limit * 100, 1)
    return data
