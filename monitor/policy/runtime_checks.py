"""Runtime checks: checks of workers, queues, hosts, consumer groups and the monitor, which no configuration contains.

A runtime check exists as long as the thing that it observes. This module derives the names and fields of these checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from monitor.config import CheckSpec
from monitor.lib.safe_names import KINDS, check_name, safe_name

SUMMARY = "workers"
"""Name of the check that sums up all workers and queues."""

CHILD = "group"
"""Prefix of the names of child checks. At present all child checks observe consumer groups."""

HOST_INTERVALS = 6.0
"""The status of a host changes to warning after its numbers were high for this time.

Each beacon has only the numbers of one moment.
"""

PARENT_LENGTH = 150
"""Most characters of the name of the parent check within the name of a child check."""

_FORBIDDEN_IN_PARENT = re.compile(r"[^A-Za-z0-9_.@-]")
_RUNTIME_CHECK = re.compile(rf"{SUMMARY}|(worker|queue|host|monitor|{CHILD}):[A-Za-z0-9_.@:-]+")


def is_runtime_check(check: str) -> bool:
    """Return whether ``check`` is the name of a runtime check."""
    return _RUNTIME_CHECK.fullmatch(check) is not None


def runtime_spec(check: str) -> CheckSpec:
    """Return the spec of a runtime check with the fields that follow from its name alone: name and kind."""
    return CheckSpec.model_construct(name=check, kind=check.partition(":")[0], critical=False, groups=(), options={})


def check_names(name: str, checks: Iterable[str]) -> Iterator[str]:
    """Yield the names of the runtime checks that a client may mean by ``name``.

    ``name`` is ``KIND:TARGET`` with the original name of the target, or ``group:CHECK:CHILD`` for a child check.
    ``checks`` holds the names of the roster's checks. CHECK is one of these.
    """
    kind, _, target = name.partition(":")
    if kind == CHILD:
        yield from (child_name(check, target[len(check) + 1 :]) for check in checks if target.startswith(f"{check}:"))
    elif kind in KINDS:
        yield check_name(kind, target)


@lru_cache(maxsize=20_000)
def check_spec(name: str, interval_seconds: float) -> CheckSpec:
    """Return the spec of a runtime check: never critical, in no group, with results valid for three intervals."""
    kind = name.partition(":")[0]
    for_seconds = HOST_INTERVALS * interval_seconds if kind == "host" else 0.0
    fields = {"interval": interval_seconds, "valid_for": 3 * interval_seconds, "for": for_seconds}
    return CheckSpec.model_validate({"name": name, "kind": kind, "critical": False, **fields})


def child_spec(check: CheckSpec, child: str) -> CheckSpec:
    """Return the spec of a child check: the spec of its parent check, but never critical and in no group."""
    name = child_name(check.name, child)
    return check.model_copy(update={"name": name, "kind": CHILD, "critical": False, "groups": (), "options": {}})


def child_name(check: str, child: str) -> str:
    """Return the name of a child check of ``check``."""
    return check_name(CHILD, f"{_parent_prefix(check)}:{child}")


def parent_checks(name: str, checks: Iterable[str]) -> tuple[str, ...]:
    """Return the parent check of ``name`` among ``checks``: one name, or no name."""
    if not name.startswith(f"{CHILD}:"):
        return ()
    return tuple(check for check in checks if name.startswith(f"{CHILD}:{_parent_prefix(check)}:"))


@lru_cache(maxsize=20_000)
def _parent_prefix(check: str) -> str:
    """Return the parent's name within a child's name: without colons, since a colon separates the two."""
    return safe_name(check, _FORBIDDEN_IN_PARENT, max_characters=PARENT_LENGTH)
