"""Cells of the matrix: what is asked of the resolver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from matrix import environments

PINS = environments.ROOT / "tests/support/pins"
EXTRAS = ("embedded", "kafka", "postgres", "mysql", "hiredis", "apprise")
CELERY = ("5.3", "5.4", "5.5", "5.6", "5.7")
DJANGO = {"4.2": "3.11", "5.0": "3.11", "5.1": "3.11", "5.2": "3.11", "6.0": "3.12", "6.1": "3.12"}
"""Minor versions of Django, each with the oldest Python that it and this package support."""
REDIS = ("5.0", "5.1", "5.2", "5.3", "6.0", "6.1", "6.2", "6.3", "6.4", "7.0", "7.1", "7.2", "7.3", "7.4", "8.0", "8.1")


@dataclass(frozen=True)
class Cell:
    """One environment of the matrix."""

    name: str
    python: str = "3.11"
    requirements: tuple[str, ...] = ()
    """Requirements of the project beside those of this package."""
    pins: Path | None = None
    lowest: bool = False
    extras: tuple[str, ...] = EXTRAS


def cells(pythons: dict[str, str]) -> Iterator[Cell]:
    """Yield all cells. A cell whose Python is not on this machine is yielded, too."""
    yield Cell("lowest", lowest=True)
    for python in pythons:
        yield Cell(f"newest, Python {python}", python=python)
    for minor in CELERY:
        yield Cell(f"celery {minor}", requirements=(f"celery=={minor}.*",))
    for minor, python in DJANGO.items():
        yield Cell(f"django {minor}", python=python, requirements=(f"django=={minor}.*",))
    for minor in REDIS:
        # The extra is what makes a resolver choose a kombu that supports this redis-py (decision 29).
        yield Cell(f"redis {minor}", requirements=("kombu[redis]", f"redis=={minor}.*"))
    for pins in sorted(PINS.glob("*.txt")):
        # plane's broker is RabbitMQ, and nothing in it chooses a kombu whose transport for Redis works.
        requirements = ("kombu<5.7",) if pins.stem == "plane" else ()
        extras = ("embedded", "kafka", "apprise")
        yield Cell(f"beside {pins.stem}", requirements=requirements, pins=pins, extras=extras)
