"""Code that a check process runs for a check: the target of `monitor.executor`."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import os
import signal
from collections.abc import Iterable, Mapping
from typing import Any

from monitor.checks.registry import KINDS, warm_up
from monitor.model.checks import NO_PAST, Outcome, Past

MODULE = "module="
IMPORT_SECONDS = 10.0

logger = logging.getLogger(__name__)


def prepare(names: Iterable[str]) -> None:
    """Import the kinds and modules that checks need, once, before check processes are forked.

    A name is that of a kind, or ``module=NAME`` for a module. Otherwise each new process would import a user's modules
    within the time limit of its first check. If the import takes longer than the limit, the check would never run.
    """
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        import django  # noqa: PLC0415

        django.setup()
    for name in names:
        if name.startswith(MODULE):
            _import(name.removeprefix(MODULE))
        else:
            warm_up(name)


def run(kind: str, options: Mapping[str, Any], timeout_seconds: float, past: Past = NO_PAST) -> Outcome:
    """Run one check and return its outcome. Any exception may be raised; the check process handles it."""
    built = KINDS.build(kind, options)
    outcome = built.run(timeout_seconds, past)
    parts = {
        name: part and dataclasses.replace(part, series=built.series_of(part))
        for name, part in outcome.children.items()
    }
    return dataclasses.replace(outcome, series=built.series_of(outcome), children=parts)


def _import(module: str) -> None:
    """Import a user's module. If that fails or hangs, log it: the check that needs the module reports the error."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"importing takes longer than {IMPORT_SECONDS:g} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, IMPORT_SECONDS)
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        logger.warning("%s cannot be imported in advance: %s: %s", module, type(error).__name__, error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
