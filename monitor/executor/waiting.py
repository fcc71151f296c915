"""Wait for an executor whose processes import a project for a long time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from monitor.ports.executor import Executor, ExecutorStarting

REPORT_SECONDS = 30.0
"""Interval of the reports about an import that takes long."""

_POLL_SECONDS = 0.2


def wait_for_start(executor: Executor, report: Callable[[ExecutorStarting], object]) -> float:
    """Start an executor, and wait until its processes have imported the project.

    Call ``report`` when the import begins to take long, and then every ``REPORT_SECONDS``. Return the time for which it
    was known to take long: 0 if it was quick. The executor limits the time of the import. Raise ExecutorUnavailable if
    the start fails.
    """
    reported_seconds, seconds = -math.inf, 0.0
    while True:
        try:
            executor.start()
        except ExecutorStarting as starting:
            seconds = starting.seconds
            if seconds - reported_seconds >= REPORT_SECONDS:
                reported_seconds = seconds
                report(starting)
            time.sleep(_POLL_SECONDS)
        else:
            return seconds
