"""Types and parsers of durations, sizes, names and patterns: ``"1.5s"``, ``"64MB"``, ``"ready,web"``, ``"queue:*"``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
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


def default_from(compute: Callable[[Mapping[str, Any]], Any]) -> BeforeValidator:
    """Return a validator that computes a field's default from the fields before it. The field's own default is None.

    A field that is invalid is missing in the argument of ``compute``. A ``default_factory`` with an argument does the
    same. It needs pydantic 2.10, which some projects do not have.
    """
    return BeforeValidator(lambda value, info: compute(info.data) if value is None else value)


def seconds(value: Any) -> Any:
    """Return a duration in seconds. ``value`` is a number of seconds, a timedelta, or a text such as ``5m`` or ``1h``.

    The units of a text are ms, s, m, h and d; without a unit it is a number of seconds.

    Raise ValueError for a text that is not a duration, and for a boolean. A value of any other type is returned
    unchanged, and pydantic refuses it.
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool):
        raise ValueError(_DURATION_HINT)
    if isinstance(value, str):
        return _quantity(value, _SECONDS, _DURATION_HINT)
    return value


def size_bytes(value: Any) -> Any:
    """Return a size in bytes. ``value`` is a number of bytes, or a text such as ``64MB``.

    The units of a text are B, kB, MB, GB (powers of 1000), KiB, MiB and GiB (powers of 1024).

    Raise ValueError for a text that is not a size, and for a boolean.
    """
    if isinstance(value, bool):
        raise ValueError(_SIZE_HINT)
    if isinstance(value, str):
        return round(_quantity(value, _BYTES, _SIZE_HINT))
    return value


def hold_time(value: Any) -> Any:
    """Return infinity for the text ``forever``, and the result of :func:`seconds` for any other value."""
    return math.inf if value == FOREVER else seconds(value)


def names(value: Any) -> Any:
    """Return the names in a text in which commas separate them. Return a value of any other type unchanged."""
    if isinstance(value, str):
        return tuple(name for name in (part.strip() for part in value.split(",")) if name)
    return value


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Return whether one of the patterns matches the entire name.

    In a pattern ``*`` matches any text, ``?`` any character, and ``[ab]`` one of these characters.
    """
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _quantity(text: str, units: dict[str, Any], hint: str) -> float:
    match = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([a-z]*)\s*", text.lower())
    if match is None or match[2] not in units:
        raise ValueError(hint)
    return float(match[1]) * float(units[match[2]])


Seconds = Annotated[float, BeforeValidator(seconds), Field(allow_inf_nan=False)]
HoldTime = Annotated[float, BeforeValidator(hold_time), Field(gt=0)]
"""Time for which a status is kept without new numbers. With infinity, missing numbers are no failure."""

Bytes = Annotated[int, BeforeValidator(size_bytes)]
CommaSeparated = BeforeValidator(names)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@:-]+$", max_length=200)]
Names = Annotated[tuple[Name, ...], CommaSeparated]
Pattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@:*?\[\]!-]+$", max_length=200)]
Patterns = Annotated[tuple[Pattern, ...], CommaSeparated]
