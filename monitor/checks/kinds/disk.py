"""Room on file systems: bytes and inodes."""

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
    """Use of the file systems that hold some paths, as ``df`` counts it; the fullest one decides."""

    paths: Annotated[tuple[str, ...], Field(min_length=1, description="one path on each file system")] = ("/",)
    warning_percent: WarningPercent = 80.0
    error_percent: ErrorPercent = None

    reports: ClassVar[Mapping[str, str]] = {
        "percent": "space in use on the fullest path, in percent",
        "free_mb": "what is left there, in MiB",
        "total_mb": "its size, in MiB",
        "inodes_percent": "inodes in use on the path that has the fewest left, in percent; not on file systems without",
        "paths": "the same numbers for each path",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        **REASONS,
        "inodes_above_threshold": "the inodes in use are above the threshold, the space is not",
        "missing_path": "a path does not exist",
        "unreadable_path": "a path cannot be read",
    }
    example: ClassVar[Mapping[str, Any]] = {"paths": ["/", "/var"], "error_percent": 95}
    series: ClassVar[tuple[str, ...]] = ("percent", "free_mb")

    def observe(self, timeout_seconds: float) -> Observation:  # noqa: ARG002
        """Ask each file system. A hung one (NFS) is met by the check's time limit."""
        each = {path: _usage(path) for path in self.paths}
        worst = max(each.values(), key=lambda usage: usage["percent"])
        inodes = [usage["inodes_percent"] for usage in each.values() if "inodes_percent" in usage]
        data: dict[str, Any] = {**worst, "paths": each}
        if inodes:
            data["inodes_percent"] = max(inodes)
        return Observation(data)

    def judge(self, observation: Observation) -> Outcome:
        """Above a threshold, in bytes or in inodes, is a warning or an error."""
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
    if inodes.f_files:  # btrfs and others make inodes as they need them
        usage["inodes_percent"] = round((inodes.f_files - inodes.f_ffree) / inodes.f_files * 100, 1)
    return usage
