"""Check of the number of established TCP connections of the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import psutil

from monitor.checks.base import CheckFailed, Kind, Observation
from monitor.checks.levels import REASONS, ErrorCount, WarningCount, level
from monitor.checks.registry import register
from monitor.model.checks import Outcome


@register("connections")
@dataclass(frozen=True, kw_only=True)
class Connections(Kind):
    """Count the established TCP connections (IPv4 and IPv6) of this host, or of this container's network namespace."""

    warning_connections: WarningCount = None
    error_connections: ErrorCount = None

    reports: ClassVar[Mapping[str, str]] = {"active_connections": "number of established connections"}
    reasons: ClassVar[Mapping[str, str]] = {
        **REASONS,
        "permission": "the operating system does not allow the monitor to list connections (macOS requires root)",
    }
    example: ClassVar[Mapping[str, Any]] = {"warning_connections": 5000}
    series: ClassVar[tuple[str, ...]] = ("active_connections",)

    def observe(self, timeout_seconds: float) -> Observation:  # noqa: ARG002
        """Count the established connections."""
        try:
            connections = psutil.net_connections(kind="tcp")
        except psutil.AccessDenied as error:  # macOS requires root
            raise CheckFailed("permission", "not allowed to list the host's connections") from error
        established = sum(connection.status == psutil.CONN_ESTABLISHED for connection in connections)
        return Observation({"active_connections": established})

    def judge(self, observation: Observation) -> Outcome:
        """Return warning or error if the number is above its threshold."""
        active = observation.data["active_connections"]
        status, reason = level(active, self.warning_connections, self.error_connections)
        return Outcome(status, observation.data, reason)
