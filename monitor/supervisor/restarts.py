"""When a child that ended is started again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
SETTLED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often in a row a child has ended before it had settled."""

    in_a_row: int = 0

    def after_exit(self, lived_seconds: float) -> Restarts:
        """One more exit. A child that had lived for a while starts its count anew."""
        return Restarts(1 if lived_seconds >= SETTLED_SECONDS else self.in_a_row + 1)

    @property
    def delay_seconds(self) -> float:
        """How long to wait before the next start: doubling from half a second, at most half a minute."""
        if not self.in_a_row:
            return 0.0
        return float(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(self.in_a_row - 1, 10)))
