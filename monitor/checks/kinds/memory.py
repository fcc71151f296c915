"""Memory in use, of what we may use: the container's limit, or the host's memory."""

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
    """Memory use; inside a container, of its limit (cgroup v1 and v2), without file cache that can be dropped."""

    warning_percent: WarningPercent = 85.0
    error_percent: ErrorPercent = None
    cgroup_root: Annotated[Path, Field(description="where control groups are mounted")] = cgroup.ROOT

    reports: ClassVar[Mapping[str, str]] = {
        "percent": "memory in use, in percent of what may be used",
        "available_mb": "what is left, in MiB",
        "total_mb": "what may be used, in MiB",
    }
    reasons: ClassVar[Mapping[str, str]] = REASONS
    example: ClassVar[Mapping[str, Any]] = {"warning_percent": 80, "error_percent": 95}
    series: ClassVar[tuple[str, ...]] = ("percent", "available_mb")

    def observe(self, timeout_seconds: float) -> Observation:  # noqa: ARG002
        """Read the host's memory and the limit of our control group."""
        host = psutil.virtual_memory()
        total, available = host.total, host.available
        limit = cgroup.memory_limit(self.cgroup_root)
        if limit is not None and limit.limit_bytes < total:
            total = limit.limit_bytes
            # A host that is short of memory leaves less than the limit promises.
            available = min(max(0, total - limit.used_bytes), available)
        percent = (total - available) / total * 100 if total else 100.0
        return Observation(
            {"percent": round(percent, 1), "available_mb": available // MB, "total_mb": total // MB},
        )

    def judge(self, observation: Observation) -> Outcome:
        """Above a threshold is a warning or an error."""
        status, reason = level(observation.data["percent"], self.warning_percent, self.error_percent)
        return Outcome(status, observation.data, reason)
