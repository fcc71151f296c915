"""Metrics of the host: CPU, memory, disk and connections. Linux only.

The metrics have the same names as the data of the check kinds ``cpu``, ``memory``, ``disk`` and ``connections``. All
metrics are read from ``/proc`` and control groups, since a worker may lack psutil. Metrics that cannot be read are
omitted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from monitor.lib import cgroup

MB = 1024 * 1024
Values = dict[str, float]


class HostMetrics:
    """Reader of the host's metrics.

    CPU use is measured since the previous call of ``read``. So the first call returns no CPU use.
    """

    def __init__(self, proc: Path = Path("/proc"), cgroup_root: Path = cgroup.ROOT) -> None:
        self._proc = proc
        self._cgroup_root = cgroup_root
        self._cpu_before: tuple[float, float] | None = None

    def read(self) -> dict[str, Values]:
        """Return the metrics that can be read now, by check kind."""
        metrics: dict[str, Values] = {}
        sources: dict[str, Callable[[], Values]] = {
            "cpu": self._cpu, "memory": self._memory, "disk": self._disk, "connections": self._connections,
        }  # fmt: skip
        for name, measure in sources.items():
            try:
                values = measure()
            except (OSError, ValueError, IndexError, KeyError, ZeroDivisionError, AttributeError):
                continue
            if values:
                metrics[name] = values
        return metrics

    def rss_mb(self) -> float | None:
        """Return the resident memory of this process in MiB; None if it cannot be read."""
        try:
            pages = int((self._proc / "self/statm").read_text().split()[1])
            return round(pages * os.sysconf("SC_PAGE_SIZE") / MB, 1)
        except (OSError, ValueError, IndexError):
            return None

    def _cpu(self) -> Values:
        processors = os.sched_getaffinity(0)
        limit = cgroup.cpu_limit(self._cgroup_root)
        if limit is not None and limit.cores < len(processors):
            count, now = limit.cores, (limit.used_seconds, time.monotonic() * limit.cores)
        else:
            count, now = float(len(processors)), self._ticks(processors)
        before, self._cpu_before = self._cpu_before, now
        if before is None or now[1] <= before[1]:
            return {}
        percent = (now[0] - before[0]) / (now[1] - before[1]) * 100
        count = round(count, 2)
        return {
            "percent": round(min(100.0, max(0.0, percent)), 1),
            "count": int(count) if count.is_integer() else count,
        }

    def _ticks(self, processors: set[int]) -> tuple[float, float]:
        """Return busy and total time of these processors since boot, in ticks, from ``/proc/stat`` (see proc(5))."""
        busy = total = 0
        for line in (self._proc / "stat").read_text().splitlines():
            name, *fields = line.split()
            if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in processors:
                user, nice, system, idle, iowait, *rest = map(
                    int, fields[:8]
                )  # user and nice already include guest time
                busy += user + nice + system + sum(rest)
                total += user + nice + system + sum(rest) + idle + iowait
        return busy, total

    def _memory(self) -> Values:
        fields = {}
        for line in (self._proc / "meminfo").read_text().splitlines():
            name, _, rest = line.partition(":")
            fields[name] = rest
        total, available = (int(fields[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
        limit = cgroup.memory_limit(self._cgroup_root)
        if limit is not None and limit.limit_bytes < total:
            total = limit.limit_bytes
            available = min(max(0, total - limit.used_bytes), available)
        percent = (total - available) / total * 100
        return {"percent": round(percent, 1), "available_mb": available // MB, "total_mb": total // MB}

    def _disk(self) -> Values:
        root = os.statvfs("/")
        used = root.f_blocks - root.f_bfree
        return {
            "percent": round(used / (used + root.f_bavail) * 100, 1),  # as in df: without the blocks reserved for root
            "free_mb": root.f_bavail * root.f_frsize // MB,
            "total_mb": root.f_blocks * root.f_frsize // MB,
        }

    def _connections(self) -> Values:
        # The kernel's counter is read, because reading the table of all connections takes long on a busy host.
        column: int | None = None
        for line in (self._proc / "net/snmp").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "Tcp":
                if column is None:
                    column = rest.split().index("CurrEstab")
                else:
                    return {"active_connections": int(rest.split()[column])}
        return {}
