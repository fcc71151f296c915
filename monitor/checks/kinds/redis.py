"""Check that a Redis or Valkey server accepts writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from monitor.checks import redis_server
from monitor.checks.base import Kind, Observation, from_config
from monitor.checks.failures import NETWORK_REASONS, io_timeout
from monitor.checks.levels import REASONS
from monitor.checks.redis_failures import SERVER_REASONS
from monitor.checks.registry import register
from monitor.config.urls import redis_py_url
from monitor.lib.redis_pool import connection_pool
from monitor.lib.redis_urls import FORMS
from monitor.model.checks import Outcome


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
    warning_memory_percent: redis_server.WarningMemoryPercent = 90.0

    reports: ClassVar[Mapping[str, str]] = redis_server.REPORTS
    reasons: ClassVar[Mapping[str, str]] = {**NETWORK_REASONS, **SERVER_REASONS, **REASONS}
    example: ClassVar[Mapping[str, Any]] = {"url": "redis://127.0.0.1:6379/0"}
    series: ClassVar[tuple[str, ...]] = ("used_memory_mb",)

    def observe(self, timeout_seconds: float) -> Observation:
        """Connect, ping the server, write a key and read the memory use."""
        limit = io_timeout(timeout_seconds)
        return Observation(redis_server.measure(self.url.get_secret_value(), f"{self.key_prefix}canary", limit))

    def judge(self, observation: Observation) -> Outcome:
        """Return a warning if the used memory is above its threshold, so that the server may soon refuse writes."""
        return redis_server.judge(observation, self.warning_memory_percent)
