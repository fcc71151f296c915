"""Runtime checks: checks of workers, queues, hosts, consumer groups and the monitor, which no configuration contains.

They are created and deleted with the things that they observe. This module derives their names and their fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from monitor.config import CheckSpec
from monitor.lib.safe_names import KINDS, safe_name

SUMMARY = "workers"
"""Name of the check that sums up all workers and queues."""

CHILD = "group"
"""Prefix of the names of child checks. All child checks are consumer groups so far."""

HOST_INTERVALS = 6.0
"""A host's numbers must be high for this long, because each beacon shows only one moment."""

NAME_LENGTH = 200
PARENT_LENGTH = 150
"""Most characters of the parent's name within the name of a child check."""

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.@:-]")
_FORBIDDEN_IN_PARENT = re.compile(r"[^A-Za-z0-9_.@-]")
_RUNTIME_CHECK = re.compile(rf"{SUMMARY}|(worker|queue|host|monitor|{CHILD}):[A-Za-z0-9_.@:-]+")


def is_runtime_check(check: str) -> bool:
    """Return whether this is the name of a runtime check."""
    return _RUNTIME_CHECK.fullmatch(check) is not None


def runtime_spec(check: str) -> CheckSpec:
    """Return the spec of a runtime check as far as its name alone determines it: name and kind."""
    return CheckSpec.model_construct(name=check, kind=check.partition(":")[0], critical=False, groups=(), options={})


def check_name(kind: str, target: str) -> str:
    """Return the name of the check of a worker, a queue or another target.

    Characters that a check name cannot have are replaced. A short digest keeps changed names apart.
    """
    return f"{kind}:{safe_name(target, _FORBIDDEN, max_characters=NAME_LENGTH - len(kind) - 1)}"


def check_names(name: str, checks: Iterable[str]) -> Iterator[str]:
    """Yield the names of the checks that ``name``, a kind and an unchanged target (``KIND:TARGET``), may refer to.

    A child check is ``group:CHECK:CHILD``, where CHECK is one of ``checks``, the names of the roster.
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
    lasting = HOST_INTERVALS * interval_seconds if kind == "host" else 0.0
    fields = {"interval": interval_seconds, "valid_for": 3 * interval_seconds, "for": lasting}
    return CheckSpec.model_validate({"name": name, "kind": kind, "critical": False, **fields})


def child_spec(check: CheckSpec, child: str) -> CheckSpec:
    """Return the spec of a child check: that of its parent ``check``, but never critical and in no group."""
    name = child_name(check.name, child)
    return check.model_copy(update={"name": name, "kind": CHILD, "critical": False, "groups": (), "options": {}})


def child_name(check: str, child: str) -> str:
    """Return the name of a child check of ``check``."""
    return check_name(CHILD, f"{_parent_prefix(check)}:{child}")


def parent_checks(name: str, checks: Iterable[str]) -> tuple[str, ...]:
    """Return the parent among ``checks`` of the check of this name: one name, or none."""
    if not name.startswith(f"{CHILD}:"):
        return ()
    return tuple(check for check in checks if name.startswith(f"{CHILD}:{_parent_prefix(check)}:"))


@lru_cache(maxsize=20_000)
def _parent_prefix(check: str) -> str:
    """Return the parent's name within a child's name: without colons, since a colon separates the two."""
    return safe_name(check, _FORBIDDEN_IN_PARENT, max_characters=PARENT_LENGTH)
