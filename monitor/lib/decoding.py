"""Validation of untrusted values from the store, the broker and other systems: checks their types and limits.

Each function returns the value, or raises one of ``BROKEN``. Standard library only: the agent uses it, too.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from typing import Any

CHECK_NAME = "[A-Za-z0-9_.@:-]{1,200}"
LABEL_BYTES = 255
"""Limit on the name of a queue, a task, a worker, a consumer group or a topic, as in AMQP and Kafka."""
TEXT_BYTES = 64 * 1024
LATEST = 7_258_118_400.0
"""Limit on times: the beginning of the year 2200, in seconds since the Unix epoch."""
INTEGER_LIMIT = 2**53
"""Limit on the magnitude of integers: every JSON parser reads smaller ones exactly."""
DEPTH_LIMIT = 16
"""Limit on the nesting of JSON values."""

BROKEN = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""Exceptions that the decoding of an invalid value may raise."""


def check_name(value: Any) -> str:
    """Return the name of a check: 1 to 200 characters of ``A-Za-z0-9_.@:-``."""
    if not isinstance(value, str) or _CHECK_NAME.fullmatch(value) is None:
        raise ValueError("not a valid check name")
    return value


def label(value: Any, *, most_bytes: int = LABEL_BYTES) -> str:
    """Return the name of another object, such as a queue: text of 1 to ``most_bytes`` bytes."""
    if not text(value, most_bytes=most_bytes):
        raise ValueError("empty")
    return str(value)


def text(value: Any, *, most_bytes: int = TEXT_BYTES) -> str:
    """Return text that can be encoded as UTF-8 in at most ``most_bytes`` bytes."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    # JSON can contain a lone surrogate, which UTF-8 cannot encode.
    if (len(value) if value.isascii() else len(value.encode())) > most_bytes:
        raise ValueError("too long")
    return value


def optional_text(value: Any) -> str | None:
    """Return text, or None."""
    return None if value is None else text(value)


def moment(value: Any) -> float:
    """Return a time in seconds since the Unix epoch, before the year 2200."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise ValueError("not a time")
    return float(value)


def amount(value: Any) -> float:
    """Return a number as a float: finite, and of a magnitude below 2**53."""
    return float(number(value))


def optional_amount(value: Any) -> float | None:
    """Return a number as a float, or None."""
    return None if value is None else amount(value)


def number(value: Any) -> float:
    """Return a number as an int or a float, as it is: finite, and of a magnitude below 2**53."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -INTEGER_LIMIT < value < INTEGER_LIMIT:
        raise ValueError("not a number")
    return value


def count(value: Any) -> int:
    """Return an integer from 0 to below 2**53."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < INTEGER_LIMIT:
        raise ValueError("not a count")
    return value


def digits(raw: bytes) -> int:
    """Return the integer that decimal digits represent; it is below 2**53."""
    if not raw.isdigit() or len(raw) > 16:
        raise ValueError("not a count")
    return count(int(raw))


def mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object whose text can be encoded, with integers below 2**53, no deeper than ``DEPTH_LIMIT``."""
    if not isinstance(value, dict):
        raise TypeError("not an object")
    _check(value, 0)
    return value


def load(raw: str | bytes, *, most_bytes: int) -> Any:
    """Return the JSON value of ``raw``, which has at most ``most_bytes`` and neither NaN nor infinities."""
    if len(raw) > most_bytes:
        raise ValueError("too long")
    return _load(raw if isinstance(raw, str) else raw.decode())


def inflate(raw: bytes, *, most_bytes: int) -> bytes:
    """Return the content of the zlib stream ``raw``, which has at most ``most_bytes``."""
    decompressor = zlib.decompressobj()
    try:
        content = decompressor.decompress(raw, most_bytes + 1)
    except zlib.error as error:
        raise ValueError("not a zlib stream") from error
    if len(content) > most_bytes or not decompressor.eof:
        raise ValueError("too long, or cut short")
    return content


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if not value.isascii():
            value.encode()
    elif isinstance(value, int):
        if not -INTEGER_LIMIT < value < INTEGER_LIMIT:
            raise ValueError("too large")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("not finite")
    elif isinstance(value, dict | list | tuple):
        _check_items(value, depth)
    elif value is not None:
        raise TypeError("not JSON")


def _check_items(value: Any, depth: int) -> None:
    if depth > DEPTH_LIMIT:
        raise ValueError("too deep")
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("a key is not a text")
        for name in value:
            _check(name, depth)
        value = value.values()
    for item in value:
        _check(item, depth + 1)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):  # 1e999
        raise ValueError("not finite")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(constant)


_CHECK_NAME = re.compile(CHECK_NAME)
# Module-level, because json.loads with these options would build a new decoder for each call.
_load = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode
