"""What a check process does with a check: the target that `monitor.executor` is given."""

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
    """Import everything that checks need, once, before check processes are forked: kinds, and ``module=NAME``.

    Otherwise each new process would import a user's modules within its first check's time limit; where
    that takes longer than the limit, the check would never get to run.
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
    """Run one check. May raise anything; the check process knows what to make of it."""
    built = KINDS.build(kind, options)
    outcome = built.run(timeout_seconds, past)
    parts = {
        name: part and dataclasses.replace(part, series=built.series_of(part))
        for name, part in outcome.children.items()
    }
    return dataclasses.replace(outcome, series=built.series_of(outcome), children=parts)


def _import(module: str) -> None:
    """Import a user's module. One that fails or hangs is left to its own check, which will say what is wrong."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"importing takes longer than {IMPORT_SECONDS:g} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, IMPORT_SECONDS)
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        logger.warning("%s cannot be imported beforehand: %s: %s", module, type(error).__name__, error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
