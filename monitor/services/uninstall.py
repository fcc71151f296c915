"""Uninstallation: finds and removes everything that the monitor has stored outside of its own code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from monitor.model.uninstall import Contents
from monitor.ports.uninstall import Place, PlaceOfAnother, PlaceUnavailable


@dataclass(frozen=True, slots=True)
class PlaceReport:
    """Report about one place: its contents, or a message why it could not be read.

    ``is_foreign`` is True if the place belongs to another project.
    """

    title: str
    contents: Contents = Contents()  # noqa: RUF009 - frozen
    problem: str | None = None
    is_foreign: bool = False


@dataclass(frozen=True, slots=True)
class UninstallReport:
    """Reports about all places. ``removed`` is True if the items in the reports were removed.

    ``left`` holds the places that still contain items after the removal, because a process has stored items again.
    """

    places: tuple[PlaceReport, ...]
    removed: bool = False
    left: tuple[PlaceReport, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Processes of the monitor that still run."""
        return tuple(dict.fromkeys(user for place in self.places for user in place.contents.users))

    @property
    def problems(self) -> tuple[PlaceReport, ...]:
        """Places that could not be read."""
        return tuple(place for place in self.places if place.problem is not None)

    @property
    def count(self) -> int:
        """Number of items in all places."""
        return sum(place.contents.count for place in self.places)


def survey(places: Sequence[Place]) -> UninstallReport:
    """Return what an uninstallation would remove. Change nothing."""
    return UninstallReport(tuple(_report(place, place.find) for place in places))


def uninstall(places: Sequence[Place], *, force: bool = False) -> UninstallReport:
    """Remove the items of the monitor from all places.

    Nothing is removed in three cases: a process of the monitor still runs, a place cannot be read, or a place belongs
    to another project. With ``force``, only a place of another project stops the removal. The report then contains the
    places that could not be read.
    """
    before = survey(places)
    if any(place.is_foreign for place in before.problems) or (not force and (before.users or before.problems)):
        return before
    # The first place is the last to be emptied: the store knows the queues and workers of the other places.
    reports = {place.title: _report(place, place.remove) for place in reversed(places)}
    left = [report for place in places if (report := _report(place, place.find)).contents.count]
    return UninstallReport(tuple(reports[place.title] for place in places), removed=True, left=tuple(left))


def _report(place: Place, action: Callable[[], Contents]) -> PlaceReport:
    try:
        return PlaceReport(place.title, action())
    except PlaceOfAnother as error:
        return PlaceReport(place.title, problem=str(error), is_foreign=True)
    except PlaceUnavailable as error:
        return PlaceReport(place.title, problem=str(error))
