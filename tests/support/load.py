"""Open-loop HTTP load: requests leave when they are due, whether or not earlier ones were answered.

A closed loop sends nothing while the server hangs, and so never measures the hang (coordinated omission, G. Tene).
Here every request has a scheduled time, from which its latency counts. The load runs in a process of
its own, so that neither a test's threads nor its fault proxies delay it (`tests.support.load_generator`).
"""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One scheduled request.

    ``at`` is its scheduled time (``time.monotonic``, the same in all processes). ``status`` is None without a response;
    ``error`` is then the reason. ``late_ms`` is the latency that the generator itself caused: it woke up
    that much after the scheduled time.
    """

    url: str
    at: float
    latency_ms: float
    status: int | None
    error: str | None = None
    late_ms: float = 0.0


@dataclasses.dataclass(frozen=True)
class Load:
    """Results of a number of requests, in the order of their schedule."""

    samples: tuple[Sample, ...]

    @property
    def statuses(self) -> Counter[int]:
        """Return the number of responses for each status code."""
        return Counter(sample.status for sample in self.samples if sample.status is not None)

    @property
    def failures(self) -> list[Sample]:
        """Return the requests without a response."""
        return [sample for sample in self.samples if sample.status is None]

    @property
    def max_ms(self) -> float:
        """Return the longest time to a response; infinity if one is missing, NaN without requests."""
        return self.percentile(100)

    def percentile(self, percent: float) -> float:
        """Return a percentile of the latency in milliseconds (nearest rank). A missing response counts as infinite."""
        return _percentile([s.latency_ms if s.status is not None else math.inf for s in self.samples], percent)

    def late_percentile(self, percent: float) -> float:
        """Return a percentile of the generator's own delay in milliseconds, caused by a busy machine."""
        return _percentile([sample.late_ms for sample in self.samples], percent)

    def of(self, url: str) -> Load:
        """Return the results of one URL."""
        return Load(tuple(sample for sample in self.samples if sample.url == url))

    def between(self, start: float, end: float = math.inf) -> Load:
        """Return the requests scheduled in [start, end), in ``time.monotonic`` seconds."""
        return Load(tuple(sample for sample in self.samples if start <= sample.at < end))

    def __len__(self) -> int:
        return len(self.samples)

    def __str__(self) -> str:
        counts = ", ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items()))
        times = f"p50 {self.percentile(50):.1f} ms, p99 {self.percentile(99):.1f} ms, max {self.max_ms:.1f} ms"
        return f"{len(self)} requests: {counts or 'no answer'}, {len(self.failures)} unanswered; {times}"


class LoadProcess:
    """Load process. It ends after ``seconds``, at the end of the ``with`` block, or with :meth:`stop`."""

    def __init__(
        self,
        *urls: str,
        per_second: float,
        seconds: float,
        fresh: bool = False,
        timeout_seconds: float = 5.0,
        host: str | None = None,
    ) -> None:
        """Send ``per_second`` GET requests to ``urls`` in turn, for ``seconds``.

        ``fresh`` opens a connection for each request, as the kubelet does; otherwise idle connections are reused.
        ``host`` replaces the Host header of the URL.
        """
        command = [sys.executable, "-m", "tests.support.load_generator", *urls, "--rate", str(per_second)]
        command += ["--seconds", str(seconds), "--timeout", str(timeout_seconds), "--json"]
        command += ["--fresh"] if fresh else []
        command += ["--host", host] if host else []
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._longest = seconds + timeout_seconds + 30
        self._load: Load | None = None
        assert self._process.stdout is not None
        if not self._process.stdout.readline():  # it writes a line when the first request is due
            raise RuntimeError(f"the load generator did not start: {' '.join(command)}")

    def wait(self) -> Load:
        """Wait for the end of the load and return its results."""
        return self._finish(None)

    def stop(self) -> Load:
        """Stop early: send nothing more, and wait for the open requests."""
        return self._finish("stop\n")

    def _finish(self, order: str | None) -> Load:
        if self._load is None:
            output, _ = self._process.communicate(order, timeout=self._longest)
            if self._process.returncode:
                raise RuntimeError(f"the load generator exited with status {self._process.returncode}")
            self._load = Load(tuple(Sample(*values) for values in json.loads(output)))
        return self._load

    def __enter__(self) -> LoadProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._load is None:
            self._process.kill()
            self._process.communicate()


def open_loop(*urls: str, per_second: float, seconds: float, **options: object) -> Load:
    """Send the load, wait for its end, and return its results (options as in :class:`LoadProcess`)."""
    with LoadProcess(*urls, per_second=per_second, seconds=seconds, **options) as process:  # type: ignore[arg-type]
        return process.wait()


def _percentile(values: Iterable[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else math.nan
