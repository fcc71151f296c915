"""Functions that check processes call: `prepare` at the start of the fork server, `run` for each check."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import os
import signal
from collections.abc import Iterable, Mapping
from typing import Any

from monitor.checks.registry import KINDS, warm_up
from monitor.lib import logs
from monitor.model.checks import NO_PAST, Outcome, Past

MODULE = "module="
"""Prefix of a module's name in the argument of `prepare`. Names without this prefix are kinds."""
IMPORT_SECONDS = 10.0
"""Time limit for the import of one module in `prepare`."""

logger = logging.getLogger(__name__)


def prepare(names: Iterable[str]) -> None:
    """Import the kinds and modules that checks need, once, before check processes are forked.

    Each name is the name of a kind, or ``module=NAME`` for a module. Without this function, each check process would
    import the user's modules within the timeout of its check. An import that takes longer than the timeout would then
    keep the check from ever running.

    In a process tree of the monitor, log records have the monitor's format and level, whatever the settings of the
    project are.
    """
    logs.configure_as_parent()
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        import django  # noqa: PLC0415
        from django.apps import apps  # noqa: PLC0415

        if not apps.ready:  # the function is called twice
            django.setup()
    for name in names:
        if name.startswith(MODULE):
            _import(name.removeprefix(MODULE))
        else:
            warm_up(name)
    logs.configure_as_parent()  # again, because the imported modules may have configured logging


def run(kind: str, options: Mapping[str, Any], timeout_seconds: float, past: Past = NO_PAST) -> Outcome:
    """Run one check. Return its outcome, with the names of the fields that history keeps in ``series``.

    ``past`` contains the memory that the previous run of the check left. Exceptions are not caught: the check process
    handles them.
    """
    check = KINDS.build(kind, options)
    outcome = check.run(timeout_seconds, past)
    children = {
        name: child and dataclasses.replace(child, series=check.series_of(child))
        for name, child in outcome.children.items()
    }
    return dataclasses.replace(outcome, series=check.series_of(outcome), children=children)


def _import(module: str) -> None:
    """Import a user's module. If the import fails or hangs, log a warning: the check itself will report the error."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"importing takes longer than {IMPORT_SECONDS:g} s")

    previous_handler = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, IMPORT_SECONDS)
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        logger.warning("%s cannot be imported in advance: %s: %s", module, type(error).__name__, error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous_handler)
