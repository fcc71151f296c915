"""Protocol of the places in which the monitor stores data, for their uninstallation."""

from __future__ import annotations

from typing import Protocol

from monitor.model.uninstall import Contents


class PlaceUnavailable(Exception):
    """Error: a place does not answer, or refuses the access. The text contains no credentials."""


class PlaceOfAnother(Exception):
    """Error: the place belongs to another project, so nothing in the place may be removed."""


class Place(Protocol):
    """A place in which the monitor stores data: the store, the broker, a schedule of beat, a directory.

    Both methods may raise :class:`PlaceUnavailable` and :class:`PlaceOfAnother`.
    """

    @property
    def title(self) -> str:
        """Return the name of the place for the operator, without credentials."""
        ...

    def find(self) -> Contents:
        """Return the contents of the place. Change nothing."""
        ...

    def remove(self) -> Contents:
        """Remove the items of the monitor. Return the contents that were found and removed."""
        ...
