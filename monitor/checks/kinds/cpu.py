"""Check of the CPU use, in percent of the container's quota or of the host's processors."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import psutil
from pydantic import Field

from monitor.checks.base import Kind, Observation
from monitor.checks.levels import REASONS, ErrorPercent, WarningPercent, level
from monitor.checks.registry import register
from monitor.config.units import Seconds
from monitor.lib import cgroup
from monitor.model.checks import Outcome


@register("cpu")
@dataclass(frozen=True, kw_only=True)
class Cpu(Kind):
    """Measure the CPU use for a short time.

    Inside a container with a CPU quota (cgroup v1 and v2), the result is the container's CPU use in percent of the
    quota. Otherwise it is the CPU use of the host.
    """

    warning_percent: WarningPercent = 90.0
    error_percent: ErrorPercent = None
    sample_seconds: Annotated[
        Seconds, Field(gt=0, le=5, description="duration of the measurement, in seconds; at most half the timeout")
    ] = 0.3
    cgroup_root: Annotated[Path, Field(description="directory in which control groups are mounted")] = cgroup.ROOT

    reports: ClassVar[Mapping[str, str]] = {
        "percent": "CPU use, in percent of the quota, or without a quota of the processors that the process may use",
        "count": "number of processors that `percent` is relative to; with a quota it may be a fraction",
    }
    reasons: ClassVar[Mapping[str, str]] = REASONS
    example: ClassVar[Mapping[str, Any]] = {"warning_percent": 95}
    series: ClassVar[tuple[str, ...]] = ("percent",)

    def observe(self, timeout_seconds: float) -> Observation:
        """Measure for ``sample_seconds``, or for half the timeout if that is shorter."""
        seconds = min(self.sample_seconds, timeout_seconds / 2)
        processors = usable_processors()
        before = cgroup.cpu_limit(self.cgroup_root)
        if before is None or before.cores >= len(processors):
            percent, count = _host_percent(processors, seconds), float(len(processors))
        else:
            percent, count = self._quota_percent(before, seconds), before.cores
        count = round(count, 2)
        return Observation({"percent": round(percent, 1), "count": int(count) if count.is_integer() else count})

    def judge(self, observation: Observation) -> Outcome:
        """Return warning or error if the CPU use is above its threshold."""
        status, reason = level(observation.data["percent"], self.warning_percent, self.error_percent)
        return Outcome(status, observation.data, reason)

    def _quota_percent(self, before: cgroup.CpuLimit, seconds: float) -> float:
        started = time.monotonic()
        time.sleep(seconds)
        after = cgroup.cpu_limit(self.cgroup_root) or before
        cores_used = (after.used_seconds - before.used_seconds) / (time.monotonic() - started)
        # The kernel lets a control group exceed its quota for a moment.
        return min(100.0, max(0.0, cores_used / before.cores * 100))


def usable_processors() -> set[int]:
    """Return the numbers of the processors on which this process may run. A cpuset may exclude processors."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(psutil.cpu_count() or 1))


def _host_percent(processors: set[int], seconds: float) -> float:
    percents = psutil.cpu_percent(interval=seconds, percpu=True)
    # psutil lists only online processors. So the index in its list is the processor's number, unless one is offline.
    usable = [percents[number] for number in processors if number < len(percents)] or percents
    return sum(usable) / len(usable)
