"""Executor: runs one check in a process of its own."""

from __future__ import annotations

from typing import Protocol

from monitor.config import CheckSpec
from monitor.model.checks import NO_PAST, Outcome, Past


class ExecutorUnavailable(Exception):
    """Error: no process is available to run a check in."""


class Executor(Protocol):
    """Runner of checks that can end a check whatever it is doing."""

    def start(self) -> None:
        """Start the processes, so that the first check does not wait. Raise :class:`ExecutorUnavailable`."""
        ...

    def run(self, check: CheckSpec, past: Past = NO_PAST) -> tuple[Outcome, float]:
        """Return the outcome and the response time in milliseconds. Raise nothing but :class:`ExecutorUnavailable`.

        A check that is not done after ``check.timeout_seconds`` is ended: status ``error``, reason ``timeout``.
        """
        ...

    def close(self) -> None:
        """End the idle processes."""
        ...
