"""A TCP port that accepts connections."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from monitor.checks.base import Kind, Observation
from monitor.checks.failures import NETWORK_REASONS, io_timeout, network_failure
from monitor.checks.registry import register
from monitor.lib.attempts import addresses, share


@register("tcp")
@dataclass(frozen=True, kw_only=True)
class Tcp(Kind):
    """Somebody accepts connections on a port. A frozen process still does: its kernel accepts for it."""

    host: Annotated[str, Field(min_length=1, description="name or address")]
    port: Annotated[int, Field(ge=1, le=65535, description="port")]

    reports: ClassVar[Mapping[str, str]] = {"connect_ms": "time to resolve the name and connect, in ms"}
    reasons: ClassVar[Mapping[str, str]] = NETWORK_REASONS
    example: ClassVar[Mapping[str, Any]] = {"host": "127.0.0.1", "port": 25}
    series: ClassVar[tuple[str, ...]] = ("connect_ms",)

    def observe(self, timeout_seconds: float) -> Observation:
        """Connect and hang up. Of several addresses each has its share of the time."""
        started = time.perf_counter()
        each = share(io_timeout(timeout_seconds), addresses(self.host, self.port))
        try:
            with socket.create_connection((self.host, self.port), timeout=each):
                elapsed_ms = (time.perf_counter() - started) * 1000
        except (OSError, UnicodeError) as error:
            raise network_failure(error, f"{self.host}:{self.port}") from error
        return Observation({"connect_ms": round(elapsed_ms, 3)})
