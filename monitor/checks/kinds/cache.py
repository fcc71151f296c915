"""Check of a cache of the Django project whose backend is Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from django.core.cache import caches
from django.core.cache.backends.base import get_key_func
from pydantic import Field

from monitor.checks import redis_server
from monitor.checks.base import CheckFailed, Kind, Observation
from monitor.checks.failures import NETWORK_REASONS, io_timeout
from monitor.checks.levels import REASONS
from monitor.checks.redis_failures import SERVER_REASONS
from monitor.checks.registry import register
from monitor.lib import django_caches
from monitor.lib.attempts import share
from monitor.model.checks import Outcome

KEY = "monitor-canary"


@register("cache")
@dataclass(frozen=True, kw_only=True)
class Cache(Kind):
    """Send `PING` and a `SET` of a key that expires after 60 s to the Redis servers of a cache, without retries.

    The cache has an entry in `settings.CACHES`, with Django's Redis backend, with django-redis, or with any other
    backend whose `LOCATION` is a URL of Redis. The check opens its own connection with the user, the password, the
    database and the TLS options of the entry. It uses neither the cache's connections nor its timeouts, because Django
    sets no timeout by default. The written key has the `KEY_PREFIX` and the `VERSION` of the cache.

    If the cache has several servers, the first one is written. The others are replicas, which the check only reads.
    With the `ShardClient` of django-redis, all servers are written. Each server gets an equal share of the timeout.
    """

    alias: Annotated[str, Field(min_length=1, description="alias of the cache in settings.CACHES")] = "default"
    warning_memory_percent: redis_server.WarningMemoryPercent = 90.0

    reports: ClassVar[Mapping[str, str]] = {
        "servers": "number of Redis servers of the cache",
        **redis_server.REPORTS,
    }
    reasons: ClassVar[Mapping[str, str]] = {
        **NETWORK_REASONS,
        **SERVER_REASONS,
        **REASONS,
        "unknown_alias": "settings.CACHES has no such alias",
        "not_redis": "the `LOCATION` of the cache is not a URL of a Redis server",
        "not_configured": "the address or the options of the cache are invalid",
    }
    example: ClassVar[Mapping[str, Any]] = {"alias": "sessions"}
    series: ClassVar[tuple[str, ...]] = ("used_memory_mb",)

    def observe(self, timeout_seconds: float) -> Observation:
        """Measure each server. ``django.setup()`` must have been called in this process."""
        entry = caches.settings.get(self.alias)
        if entry is None:
            raise CheckFailed("unknown_alias", f"settings.CACHES has no {self.alias!r}")
        if not django_caches.is_redis_cache(entry):
            raise CheckFailed("not_redis", f"{self.alias}: LOCATION is not a URL of a Redis server")
        try:
            servers, key = django_caches.servers(entry), _key(entry)
            limit = share(io_timeout(timeout_seconds), len(servers))
            measured = [
                redis_server.measure(server.url, key, limit, is_written=server.is_written) for server in servers
            ]
        except (ImportError, ValueError) as error:  # the URL, an option or KEY_FUNCTION; the text contains no URL
            raise CheckFailed("not_configured", f"{self.alias}: {error}") from error
        except CheckFailed as error:
            raise CheckFailed(error.reason, f"{self.alias}: {error.message}") from error
        # Of several servers, the fullest one counts.
        memory = {name: max(each[name] for each in measured if name in each) for each in measured for name in each}
        return Observation({"servers": len(servers), **memory})

    def judge(self, observation: Observation) -> Outcome:
        """Return a warning if the used memory is above its threshold, so that the server may soon refuse writes."""
        return redis_server.judge(observation, self.warning_memory_percent)


def _key(entry: Mapping[str, Any]) -> str:
    """Return the key that the cache would use. The cache's Redis user may be limited to its prefix."""
    make_key = get_key_func(entry.get("KEY_FUNCTION"))
    return str(make_key(KEY, entry.get("KEY_PREFIX", ""), entry.get("VERSION", 1)))
