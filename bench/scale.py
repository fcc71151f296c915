"""How much time a measurement may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Scale:
    """``quick`` runs show that everything works; their numbers mean little."""

    quick: bool = False

    def pick(self, full: T, quick: T) -> T:
        """The first of the two for a full run, the second for a quick one."""
        return quick if self.quick else full
