"""Quantities, names and lists of names as people write them: ``"1.5s"``, ``"64MB"``, ``"ready,web"``, ``"queue:*"``."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

FOREVER = "forever"
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30,
}  # fmt: skip
_DURATION_HINT = "write a number of seconds or a duration such as '500ms', '10s', '5m', '1h'"
_SIZE_HINT = "write a number of bytes or a size such as '500kB', '64MB', '1GB', '64MiB'"


def seconds(value: Any) -> Any:
    """A duration in seconds from a number of seconds, a timedelta or a text with a unit (ms, s, m, h, d).

    Anything else is returned as it is, for the validator behind this one to refuse. Raises ValueError
    for a text that is no duration, and for a boolean.
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool):
        raise ValueError(_DURATION_HINT)
    if isinstance(value, str):
        return _quantity(value, _SECONDS, _DURATION_HINT)
    return value


def size_bytes(value: Any) -> Any:
    """A size in bytes from a number of bytes or a text with a unit: kB, MB, GB count by 1000, KiB, MiB, GiB by 1024.

    Raises ValueError for a text that is no size, and for a boolean.
    """
    if isinstance(value, bool):
        raise ValueError(_SIZE_HINT)
    if isinstance(value, str):
        return round(_quantity(value, _BYTES, _SIZE_HINT))
    return value


def hold_time(value: Any) -> Any:
    """A duration in seconds as of :func:`seconds`; infinite for the word ``forever``."""
    return math.inf if value == FOREVER else seconds(value)


def names(value: Any) -> Any:
    """A text becomes the names it lists, separated by commas; anything else is returned as it is."""
    if isinstance(value, str):
        return tuple(name for name in (part.strip() for part in value.split(",")) if name)
    return value


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Return whether any of the patterns fits the whole name.

    In a pattern ``*`` is any text, ``?`` any character, ``[ab]`` one of these.
    """
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _quantity(text: str, units: dict[str, Any], hint: str) -> float:
    match = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([a-z]*)\s*", text.lower())
    if match is None or match[2] not in units:
        raise ValueError(hint)
    return float(match[1]) * float(units[match[2]])


Seconds = Annotated[float, BeforeValidator(seconds), Field(allow_inf_nan=False)]
HoldTime = Annotated[float, BeforeValidator(hold_time), Field(gt=0)]
"""How long a verdict is kept without new numbers; infinite: it never fails for the want of them."""

Bytes = Annotated[int, BeforeValidator(size_bytes)]
CommaSeparated = BeforeValidator(names)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@:-]+$", max_length=200)]
Names = Annotated[tuple[Name, ...], CommaSeparated]
Pattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@:*?\[\]!-]+$", max_length=200)]
Patterns = Annotated[tuple[Pattern, ...], CommaSeparated]
