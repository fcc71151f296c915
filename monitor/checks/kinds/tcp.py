"""Check that a TCP port accepts connections."""

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
from monitor.lib.attempts import address_count, share


@register("tcp")
@dataclass(frozen=True, kw_only=True)
class Tcp(Kind):
    """Open a connection to a port and close it.

    The check does not find a process that hangs: the kernel still accepts connections to its port.
    """

    host: Annotated[str, Field(min_length=1, description="host name or IP address")]
    port: Annotated[int, Field(ge=1, le=65535, description="port number")]

    reports: ClassVar[Mapping[str, str]] = {
        "connect_ms": "duration of resolving the name and connecting, in milliseconds"
    }
    reasons: ClassVar[Mapping[str, str]] = NETWORK_REASONS
    example: ClassVar[Mapping[str, Any]] = {"host": "127.0.0.1", "port": 25}
    series: ClassVar[tuple[str, ...]] = ("connect_ms",)

    def observe(self, timeout_seconds: float) -> Observation:
        """Connect and disconnect. If the host has several addresses, each gets an equal share of the timeout."""
        started = time.perf_counter()
        attempt_seconds = share(io_timeout(timeout_seconds), address_count(self.host, self.port))
        try:
            with socket.create_connection((self.host, self.port), timeout=attempt_seconds):
                elapsed_ms = (time.perf_counter() - started) * 1000
        except (OSError, UnicodeError) as error:
            raise network_failure(error, f"{self.host}:{self.port}") from error
        return Observation({"connect_ms": round(elapsed_ms, 3)})
