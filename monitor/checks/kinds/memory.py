"""Check of the memory use, relative to the container's limit or to the host's memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import psutil
from pydantic import Field

from monitor.checks.base import Kind, Observation
from monitor.checks.levels import REASONS, ErrorPercent, WarningPercent, level
from monitor.checks.registry import register
from monitor.lib import cgroup
from monitor.model.checks import Outcome

MB = 1024 * 1024


@register("memory")
@dataclass(frozen=True, kw_only=True)
class Memory(Kind):
    """Measure the memory use. Inside a container, it is relative to the container's limit (cgroup v1 and v2).

    File cache that the kernel can drop does not count as used.
    """

    warning_percent: WarningPercent = 85.0
    error_percent: ErrorPercent = None
    cgroup_root: Annotated[Path, Field(description="directory in which control groups are mounted")] = cgroup.ROOT

    reports: ClassVar[Mapping[str, str]] = {
        "percent": "memory in use, in percent of `total_mb`",
        "available_mb": "available memory, in MiB",
        "total_mb": "the container's limit or the host's memory, whichever is smaller, in MiB",
    }
    reasons: ClassVar[Mapping[str, str]] = REASONS
    example: ClassVar[Mapping[str, Any]] = {"warning_percent": 80, "error_percent": 95}
    series: ClassVar[tuple[str, ...]] = ("percent", "available_mb")

    def observe(self, timeout_seconds: float) -> Observation:  # noqa: ARG002
        """Read the host's memory and the limit of this process' control group."""
        host = psutil.virtual_memory()
        total, available = host.total, host.available
        limit = cgroup.memory_limit(self.cgroup_root)
        if limit is not None and limit.limit_bytes < total:
            total = limit.limit_bytes
            # The host may have less memory available than the limit allows.
            available = min(max(0, total - limit.used_bytes), available)
        percent = (total - available) / total * 100 if total else 100.0
        return Observation(
            {"percent": round(percent, 1), "available_mb": available // MB, "total_mb": total // MB},
        )

    def judge(self, observation: Observation) -> Outcome:
        """Return warning or error above the threshold."""
        status, reason = level(observation.data["percent"], self.warning_percent, self.error_percent)
        return Outcome(status, observation.data, reason)
