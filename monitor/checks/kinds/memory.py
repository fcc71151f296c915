"""Check of the memory use, in percent of the container's limit or of the host's memory."""

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
    """Measure the used memory.

    Inside a container with a memory limit (cgroup v1 and v2), the result is the container's memory in percent of the
    limit. Otherwise it is the host's memory. File cache that the kernel can drop does not count as used.
    """

    warning_percent: WarningPercent = 85.0
    error_percent: ErrorPercent = None
    cgroup_root: Annotated[Path, Field(description="directory in which control groups are mounted")] = cgroup.ROOT

    reports: ClassVar[Mapping[str, str]] = {
        "percent": "used memory, in percent of `total_mb`",
        "available_mb": "available memory, in MiB",
        "total_mb": "the smaller of the container's limit and the host's memory, in MiB",
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
            # The host may have less available memory than the container may still use.
            available = min(max(0, total - limit.used_bytes), available)
        percent = (total - available) / total * 100 if total else 100.0
        return Observation(
            {"percent": round(percent, 1), "available_mb": available // MB, "total_mb": total // MB},
        )

    def judge(self, observation: Observation) -> Outcome:
        """Return warning or error if the used memory is above its threshold."""
        status, reason = level(observation.data["percent"], self.warning_percent, self.error_percent)
        return Outcome(status, observation.data, reason)
