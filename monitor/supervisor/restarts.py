"""Restart policy: the delay before an ended child is started again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
SETTLED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Restarts:
    """Number of consecutive exits of a child that each came within ``SETTLED_SECONDS`` of its start."""

    in_a_row: int = 0

    def after_exit(self, lived_seconds: float) -> Restarts:
        """Return the number after one more exit. A child that ran for ``SETTLED_SECONDS`` is counted from 1 again."""
        return Restarts(1 if lived_seconds >= SETTLED_SECONDS else self.in_a_row + 1)

    @property
    def delay_seconds(self) -> float:
        """Seconds to wait before the next start: doubled from half a second up to half a minute."""
        if not self.in_a_row:
            return 0.0
        return float(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(self.in_a_row - 1, 10)))
