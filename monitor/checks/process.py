"""What a check process does with a check: the target that `monitor.executor` is given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from monitor.checks import registry
from monitor.model import Outcome


def prepare(kinds: Iterable[str]) -> None:
    """Import everything that the kinds need, once, before check processes are forked."""
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        import django  # noqa: PLC0415

        django.setup()
    for kind in kinds:
        registry.find(kind)


def run(kind: str, options: Mapping[str, Any], timeout_seconds: float) -> Outcome:
    """Run one check. May raise anything; the check process knows what to make of it."""
    return registry.build(kind, options).run(timeout_seconds)
