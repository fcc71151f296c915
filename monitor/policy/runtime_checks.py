"""Checks that no configuration has, because they come and go with what they are about: their names and fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from monitor.config import CheckSpec
from monitor.lib.safe_names import KINDS, safe_name

SUMMARY = "workers"
"""The name of the check that sums up all workers and queues."""

CHILD = "group"
"""What the names of checks begin with that a run of another check found: consumer groups, so far."""

HOST_INTERVALS = 6.0
"""A host's numbers must be high for so long: they are of a moment."""

NAME_LENGTH = 200
PARENT_LENGTH = 150
"""Of the name of the check that a part belongs to, within the part's name."""

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.@:-]")
_FORBIDDEN_IN_WHOLE = re.compile(r"[^A-Za-z0-9_.@-]")
_DYNAMIC = re.compile(rf"{SUMMARY}|(worker|queue|host|monitor|{CHILD}):[A-Za-z0-9_.@:-]+")


def is_dynamic(check: str) -> bool:
    """Whether a check of this name comes and goes at run time, rather than stand in the roster."""
    return _DYNAMIC.fullmatch(check) is not None


def dynamic_spec(check: str) -> CheckSpec:
    """What there is to know beforehand of a check that came at run time: its name says its kind."""
    return CheckSpec.model_construct(name=check, kind=check.partition(":")[0], critical=False, groups=(), options={})


def check_name(kind: str, target: str) -> str:
    """The name of the check of a worker, a queue, ...; a short digest keeps apart what had to be changed."""
    return f"{kind}:{safe_name(target, _FORBIDDEN, most_characters=NAME_LENGTH - len(kind) - 1)}"


def check_names(name: str, checks: Iterable[str]) -> Iterator[str]:
    """Yield the names of the checks that may be meant by ``name``: a kind, and a target under its own name.

    ``checks`` are those of the roster: a part is named ``group:CHECK:PART``.
    """
    kind, _, target = name.partition(":")
    if kind == CHILD:
        yield from (child_name(check, target[len(check) + 1 :]) for check in checks if target.startswith(f"{check}:"))
    elif kind in KINDS:
        yield check_name(kind, target)


@lru_cache(maxsize=20_000)
def check_spec(name: str, interval_seconds: float) -> CheckSpec:
    """The check of this name, which no configuration has: never critical, in no group, valid for three intervals."""
    kind = name.partition(":")[0]
    lasting = HOST_INTERVALS * interval_seconds if kind == "host" else 0.0
    fields = {"interval": interval_seconds, "valid_for": 3 * interval_seconds, "for": lasting}
    return CheckSpec.model_validate({"name": name, "kind": kind, "critical": False, **fields})


def child_spec(check: CheckSpec, part: str) -> CheckSpec:
    """The check of a part that a run of ``check`` found: judged as that, but never critical and in no group."""
    name = child_name(check.name, part)
    return check.model_copy(update={"name": name, "kind": CHILD, "critical": False, "groups": (), "options": {}})


def child_name(check: str, part: str) -> str:
    """The name of the check of a part that a run of ``check`` found."""
    return check_name(CHILD, f"{_whole(check)}:{part}")


def parent_checks(name: str, checks: Iterable[str]) -> tuple[str, ...]:
    """Those of ``checks`` that a check of this name is a part of: one, or none."""
    if not name.startswith(f"{CHILD}:"):
        return ()
    return tuple(check for check in checks if name.startswith(f"{CHILD}:{_whole(check)}:"))


@lru_cache(maxsize=20_000)
def _whole(check: str) -> str:
    """A check as its parts name it: without a colon, at which the part begins."""
    return safe_name(check, _FORBIDDEN_IN_WHOLE, most_characters=PARENT_LENGTH)
