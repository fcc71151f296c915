"""Check of the free space and inodes of file systems."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import psutil
from pydantic import Field

from monitor.checks.base import CheckFailed, Kind, Observation
from monitor.checks.levels import REASONS, ErrorPercent, WarningPercent, level
from monitor.checks.registry import register
from monitor.model.checks import Outcome

MB = 1024 * 1024


@register("disk")
@dataclass(frozen=True, kw_only=True)
class Disk(Kind):
    """Measure the used space and the used inodes of file systems, calculated like ``df``.

    The thresholds apply to the highest percentage of space and to the highest percentage of inodes.
    """

    paths: Annotated[tuple[str, ...], Field(min_length=1, description="one path on each file system to measure")] = (
        "/",
    )
    warning_percent: WarningPercent = 80.0
    error_percent: ErrorPercent = None

    reports: ClassVar[Mapping[str, str]] = {
        "percent": "used space of the fullest file system, in percent",
        "free_mb": "free space of the fullest file system, in MiB",
        "total_mb": "size of the fullest file system, in MiB",
        "inodes_percent": "highest percentage of used inodes of a file system; absent if no file system limits inodes",
        "paths": "the numbers above for each path",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        **REASONS,
        "inodes_above_threshold": "the used inodes are above a threshold, and the status for the used space is better",
        "missing_path": "a path does not exist",
        "unreadable_path": "a path cannot be read",
    }
    example: ClassVar[Mapping[str, Any]] = {"paths": ["/", "/var"], "error_percent": 95}
    series: ClassVar[tuple[str, ...]] = ("percent", "free_mb")

    def observe(self, timeout_seconds: float) -> Observation:  # noqa: ARG002
        """Measure each file system. If a file system hangs (NFS), the run ends with the check's timeout."""
        usages = {path: _usage(path) for path in self.paths}
        fullest = max(usages.values(), key=lambda usage: usage["percent"])
        inodes = [usage["inodes_percent"] for usage in usages.values() if "inodes_percent" in usage]
        data: dict[str, Any] = {**fullest, "paths": usages}
        if inodes:
            data["inodes_percent"] = max(inodes)
        return Observation(data)

    def judge(self, observation: Observation) -> Outcome:
        """Return warning or error if the used space or the used inodes are above a threshold."""
        data = observation.data
        space, reason = level(data["percent"], self.warning_percent, self.error_percent)
        inodes, _ = level(data.get("inodes_percent", 0.0), self.warning_percent, self.error_percent)
        if inodes.severity > space.severity:
            return Outcome(inodes, data, "inodes_above_threshold")
        return Outcome(space, data, reason)


def _usage(path: str) -> dict[str, float]:
    try:
        space, inodes = psutil.disk_usage(path), os.statvfs(path)
    except FileNotFoundError:
        raise CheckFailed("missing_path", f"{path} does not exist") from None
    except OSError as error:
        raise CheckFailed("unreadable_path", f"{path}: {error.strerror}") from error
    usage = {"percent": space.percent, "free_mb": space.free // MB, "total_mb": space.total // MB}
    if inodes.f_files:  # 0 if the file system creates inodes on demand (btrfs)
        usage["inodes_percent"] = round((inodes.f_files - inodes.f_ffree) / inodes.f_files * 100, 1)
    return usage
