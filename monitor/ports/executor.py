"""Executor: runs one check in a process of its own."""

from __future__ import annotations

from typing import Protocol

from monitor.config import CheckSpec
from monitor.model.checks import NO_PAST, Outcome, Past


class ExecutorUnavailable(Exception):
    """Error: no process is available to run a check in."""


class ExecutorStarting(ExecutorUnavailable):
    """Error: the processes still import the project, since ``seconds``. Nothing is wrong, and a later call succeeds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(importing_text(seconds))
        self.seconds = seconds


def importing_text(seconds: float) -> str:
    """Return the text that tells an operator why no check runs yet."""
    return f"importing the project, {seconds:.0f} s"


class Executor(Protocol):
    """Runner of checks that can end a check at any time."""

    def start(self) -> None:
        """Start the processes, so that the first check does not wait for them.

        Raise :class:`ExecutorStarting` if this takes long, and :class:`ExecutorUnavailable` if it fails.
        """
        ...

    def startup_seconds(self) -> float | None:
        """Return the time for which the processes have been importing the project; None if they are not importing."""
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
