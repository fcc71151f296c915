"""Resolution beside the versions that public projects run with. Nothing here is ever skipped."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from matrix import environments
from matrix.cells import PINS

PROJECTS = sorted(PINS.glob("*.txt"))
PYPROJECT = tomllib.loads((environments.ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = sorted(PYPROJECT["optional-dependencies"])
AGENT = {"celery", "kombu", "redis"}


def test_the_pins_are_those_of_five_projects() -> None:
    """A test without pins would prove nothing."""
    assert [path.stem for path in PROJECTS] == ["baserow", "paperless", "plane", "pretix", "saleor"]


def test_the_agent_needs_three_packages() -> None:
    """The project's workers need celery, kombu and redis, which they have."""
    assert {requirement.partition(">")[0] for requirement in PYPROJECT["dependencies"]} == AGENT


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("extra", [None, *EXTRAS])
def test_nothing_of_the_project_changes_its_version(project: Path, extra: str | None) -> None:
    """The agent, and each extra, can be installed beside a project's versions."""
    found = environments.resolve([extra] if extra else [], constraints=project)
    pins = dict(pin(line) for line in project.read_text().splitlines() if "==" in line)
    assert found.keys() >= AGENT
    assert {name: version for name, version in found.items() if pins.get(name, version) != version} == {}


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.stem)
def test_the_agent_adds_nothing_but_what_celery_brings(project: Path) -> None:
    """A worker gets no Django, no driver and no pydantic from the agent."""
    without = environments.resolve([], constraints=project)
    assert not without.keys() & {"django", "pydantic", "structlog", "psycopg", "hiredis", "django-ninja"}


def test_a_conflict_is_an_error(tmp_path: Path) -> None:
    """Versions that the package does not support are refused, so the tests above can fail."""
    pins = tmp_path / "pins.txt"
    pins.write_text("redis==4.6.0\n")
    with pytest.raises(environments.Failed, match="redis"):
        environments.resolve([], constraints=pins)


def test_the_floors_are_true_together() -> None:
    """There are versions of everything with the lowest of each direct requirement."""
    lowest = environments.resolve(EXTRAS, lowest=True)
    for requirement in PYPROJECT["dependencies"]:
        name, _, floor = requirement.partition(">=")
        assert numbers(lowest[name]) == numbers(floor.partition(",")[0]), requirement


def numbers(version: str) -> tuple[int, ...]:
    """Return the version without zeros at its end."""
    parts = [int(part) for part in version.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def pin(line: str) -> tuple[str, str]:
    """Return name and version of a line ``name[extra]==version``."""
    name, _, version = line.strip().partition("==")
    return name.partition("[")[0].lower().replace("_", "-"), version.partition(" ")[0]
