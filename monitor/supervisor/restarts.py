"""Restart policy: the delay before a child process that has ended is started again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
SETTLED_SECONDS = 30.0
"""A child process that ran for this time is restarted with the first delay again."""


@dataclass(frozen=True, slots=True)
class Restarts:
    """Number of exits of a child process since it last ran for ``SETTLED_SECONDS``."""

    in_a_row: int = 0

    def after_exit(self, ran_seconds: float) -> Restarts:
        """Return the number after an exit: 1 if the process ran for ``SETTLED_SECONDS``, else the number plus 1."""
        return Restarts(1 if ran_seconds >= SETTLED_SECONDS else self.in_a_row + 1)

    @property
    def delay_seconds(self) -> float:
        """Seconds to wait before the next start: half a second, doubled after each exit, up to half a minute."""
        if not self.in_a_row:
            return 0.0
        return float(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(self.in_a_row - 1, 10)))
