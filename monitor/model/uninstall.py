"""Values of an uninstallation: what the monitor has stored in a place, and which processes still use the place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredItems:
    """Items of one kind in one place, such as the keys of the history. ``names`` holds some of their names."""

    kind: str
    count: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """Contents of a place, as far as they concern an uninstallation.

    - ``items``: what the monitor has stored there.
    - ``kept``: what looks like an item of the monitor, but is not one, or may belong to another monitor.
    - ``users``: processes of the monitor that use the place now. They would store items again.
    """

    items: tuple[StoredItems, ...] = ()
    kept: tuple[StoredItems, ...] = ()
    users: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of items."""
        return sum(each.count for each in self.items)
