"""Closed-loop throughput by wrk (Debian package ``wrk``)."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from statistics import median

from bench.processes import cpu_seconds

CONNECTIONS = 16

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Throughput:
    """What wrk found. ``cpu_us`` is the server's CPU time for each request, ``refused`` what was not 2xx or 3xx."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    refused: int


def measure(url: str, pid: int, *, seconds: int, connections: int = CONNECTIONS) -> Throughput:
    """One run against the server whose process tree starts at ``pid``. Connections are kept alive."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency", url]
    before = cpu_seconds(pid)
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pid) - before
    requests = int(_find(r"(\d+) requests in", output))
    return Throughput(
        per_second=float(_find(r"Requests/sec:\s+([\d.]+)", output)),
        p50_ms=_milliseconds(_find(r"(?m)^\s+50%\s+(\S+)", output)),
        p99_ms=_milliseconds(_find(r"(?m)^\s+99%\s+(\S+)", output)),
        cpu_us=used / requests * 1e6 if requests else float("nan"),
        refused=int(_find(r"Non-2xx or 3xx responses: (\d+)", output) or 0),
    )


def middle(runs: list[Throughput]) -> Throughput:
    """The median of each figure; refusals are summed."""
    return Throughput(
        *(median(getattr(run, name) for run in runs) for name in ("per_second", "p50_ms", "p99_ms", "cpu_us")),
        refused=sum(run.refused for run in runs),
    )


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found.group(1) if found else ""


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(\w+)", text)  # no number when nothing was answered
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")
