"""All our tasks, and all that beat has to send: each module of this package registers its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from monitor.config import Config
from monitor.tasks import alerts, checks, history, pulse, workers

if TYPE_CHECKING:
    from celery import Celery

    from monitor.wiring import Runtime

FAMILIES = (checks, pulse, workers, alerts, history)


def register(app: Celery, runtime: Callable[[], Runtime]) -> None:
    """Add our tasks to ``app``. ``runtime`` is asked on the first run, in the process that runs it."""
    for family in FAMILIES:
        family.register(app, runtime)


def beat_schedule(config: Config) -> dict[str, Any]:
    """The beat entries, by name."""
    return {name: entry for family in FAMILIES for name, entry in family.beat_entries(config).items()}
