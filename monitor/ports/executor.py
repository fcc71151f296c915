"""Executor: runs one check in a process of its own."""

from __future__ import annotations

from typing import Protocol

from monitor.config import CheckSpec
from monitor.model.checks import NO_PAST, Outcome, Past


class ExecutorUnavailable(Exception):
    """Error: no process is available to run a check in."""


class Executor(Protocol):
    """Runner of checks that can end a check at any time."""

    def start(self) -> None:
        """Start the processes, so that the first check does not wait for them. Raise :class:`ExecutorUnavailable`."""
        ...

    def run(self, check: CheckSpec, past: Past = NO_PAST) -> tuple[Outcome, float]:
        """Run the check. Return its outcome and its response time in milliseconds.

        A check that takes longer than ``check.timeout_seconds`` is ended: its outcome is ``error`` with the reason
        ``timeout``. Raise :class:`ExecutorUnavailable` and no other exception.
        """
        ...

    def close(self) -> None:
        """End the idle processes."""
        ...
