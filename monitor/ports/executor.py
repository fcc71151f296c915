"""The executor: runs one check in a process of its own."""

from __future__ import annotations

from typing import Protocol

from monitor.config import CheckSpec
from monitor.model.checks import NO_PAST, Outcome, Past


class ExecutorUnavailable(Exception):
    """Nothing can be run just now: no process could be had to run it in."""


class Executor(Protocol):
    """Runs a check where it can be ended, whatever it is doing."""

    def start(self) -> None:
        """Get ready, so that the first check does not have to wait. Raises :class:`ExecutorUnavailable`."""
        ...

    def run(self, check: CheckSpec, past: Past = NO_PAST) -> tuple[Outcome, float]:
        """The outcome and the response time in milliseconds. Raises :class:`ExecutorUnavailable` and nothing else.

        A check that is not done after ``check.timeout_seconds`` is ended: status ``error``, reason ``timeout``.
        """
        ...

    def close(self) -> None:
        """End what is idle."""
        ...
