"""Uninstallation: when it removes something, and when it removes nothing at all."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from monitor.model.uninstall import Contents, StoredItems
from monitor.ports.uninstall import PlaceOfAnother, PlaceUnavailable
from monitor.services.uninstall import survey, uninstall

KEYS = Contents((StoredItems("keys", 3, ("a", "b")),))


@dataclass
class PlaceInMemory:
    """A place of a test, which records what is removed."""

    title: str
    contents: Contents = KEYS
    error: Exception | None = None
    refills: bool = False
    log: list[str] = field(default_factory=list)

    def find(self) -> Contents:
        if self.error:
            raise self.error
        return Contents() if self.title in self.log and not self.refills else self.contents

    def remove(self) -> Contents:
        if self.error:
            raise self.error
        self.log.append(self.title)
        return self.contents


def places_with(*errors: Exception | None, users: tuple[str, ...] = (), refills: bool = False) -> list[PlaceInMemory]:
    log: list[str] = []
    contents = Contents(KEYS.items, (), users)
    return [PlaceInMemory(f"place {number}", contents, error, refills, log) for number, error in enumerate(errors)]


def test_a_survey_removes_nothing() -> None:
    places = places_with(None, PlaceUnavailable("down"))
    report = survey(places)
    assert (report.count, [place.problem for place in report.places], report.removed) == (3, [None, "down"], False)
    assert places[0].log == []


def test_the_first_place_is_emptied_last() -> None:
    places = places_with(None, None, None)
    report = uninstall(places)
    assert (report.removed, report.count, report.left) == (True, 9, ())
    assert places[0].log == ["place 2", "place 1", "place 0"]
    assert [place.title for place in report.places] == ["place 0", "place 1", "place 2"]


@pytest.mark.parametrize(
    "places",
    [places_with(None, users=("monitor beat",)), places_with(None, PlaceUnavailable("down"))],
    ids=["a role runs", "a place does not answer"],
)
def test_it_refuses_unless_forced(places: list[PlaceInMemory]) -> None:
    report = uninstall(places)
    assert (report.removed, places[0].log) == (False, [])
    report = uninstall(places, force=True)
    assert (report.removed, places[0].log) == (True, ["place 0"])


def test_a_place_of_another_project_is_never_forced() -> None:
    places = places_with(None, PlaceOfAnother("blog"))
    report = uninstall(places, force=True)
    assert (report.removed, places[0].log, report.problems[0].is_foreign) == (False, [], True)


def test_what_is_stored_again_is_reported() -> None:
    report = uninstall(places_with(None, users=("monitor beat",), refills=True), force=True)
    assert [(place.title, place.contents.count) for place in report.left] == [("place 0", 3)]
