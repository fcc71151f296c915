"""Validation of the types and limits of untrusted values from the store, the broker and other systems.

Each function returns a valid value, and raises one of ``BROKEN`` for an invalid value. The module imports only the
standard library, because the agent uses it.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from typing import Any

CHECK_NAME = "[A-Za-z0-9_.@:-]{1,200}"
OBJECT_NAME_BYTES = 255
"""Limit on the name of a queue, a task, a worker, a consumer group or a topic. AMQP and Kafka have the same limit."""
TEXT_BYTES = 64 * 1024
LATEST_MOMENT = 7_258_118_400.0
"""Limit on times: the beginning of the year 2200, in seconds since the Unix epoch."""
INTEGER_LIMIT = 2**53
"""Limit on the magnitude of numbers. Every JSON parser reads integers below this limit exactly."""
DEPTH_LIMIT = 16
"""Limit on the nesting of JSON values."""

BROKEN = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""Exceptions that the functions of this module raise for an invalid value."""


def check_name(value: Any) -> str:
    """Return the name of a check: 1 to 200 characters of ``A-Za-z0-9_.@:-``."""
    if not isinstance(value, str) or _CHECK_NAME.fullmatch(value) is None:
        raise ValueError("not a valid check name")
    return value


def object_name(value: Any, *, max_bytes: int = OBJECT_NAME_BYTES) -> str:
    """Return the name of an object other than a check, such as a queue: a string of 1 to ``max_bytes`` bytes."""
    if not text(value, max_bytes=max_bytes):
        raise ValueError("empty")
    return str(value)


def text(value: Any, *, max_bytes: int = TEXT_BYTES) -> str:
    """Return a string that has at most ``max_bytes`` bytes in UTF-8."""
    if not isinstance(value, str):
        raise TypeError("not a string")
    # JSON can contain a lone surrogate, which UTF-8 cannot encode.
    if (len(value) if value.isascii() else len(value.encode())) > max_bytes:
        raise ValueError("too long")
    return value


def optional_text(value: Any) -> str | None:
    """Return a valid string, or None for None."""
    return None if value is None else text(value)


def moment(value: Any) -> float:
    """Return a time in seconds since the Unix epoch, before the year 2200."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST_MOMENT:
        raise ValueError("not a time")
    return float(value)


def amount(value: Any) -> float:
    """Return a finite number with a magnitude below 2**53, converted to a float."""
    return float(number(value))


def optional_amount(value: Any) -> float | None:
    """Return a valid number as a float, or None for None."""
    return None if value is None else amount(value)


def number(value: Any) -> float:
    """Return a finite number with a magnitude below 2**53. An int stays an int."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -INTEGER_LIMIT < value < INTEGER_LIMIT:
        raise ValueError("not a number")
    return value


def count(value: Any) -> int:
    """Return an integer of at least 0 and below 2**53."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < INTEGER_LIMIT:
        raise ValueError("not a count")
    return value


def digits(raw: bytes) -> int:
    """Return the integer below 2**53 that ``raw`` has in decimal digits."""
    if not raw.isdigit() or len(raw) > 16:
        raise ValueError("not a count")
    return count(int(raw))


def mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object whose values are valid at every depth.

    Strings can be encoded as UTF-8, numbers are finite, integers are below 2**53, and the depth of nesting is at most
    ``DEPTH_LIMIT``.
    """
    if not isinstance(value, dict):
        raise TypeError("not an object")
    _validate(value, 0)
    return value


def load(raw: str | bytes, *, max_bytes: int) -> Any:
    """Return the JSON value of ``raw``, without NaN and infinities.

    ``raw`` has at most ``max_bytes`` bytes, or characters if it is a string.
    """
    if len(raw) > max_bytes:
        raise ValueError("too long")
    return _load(raw if isinstance(raw, str) else raw.decode())


def inflate(raw: bytes, *, max_bytes: int) -> bytes:
    """Return the content of the zlib stream ``raw``. The content has at most ``max_bytes`` bytes."""
    decompressor = zlib.decompressobj()
    try:
        content = decompressor.decompress(raw, max_bytes + 1)
    except zlib.error as error:
        raise ValueError("not a zlib stream") from error
    if len(content) > max_bytes or not decompressor.eof:
        raise ValueError("too long, or cut short")
    return content


def _validate(value: Any, depth: int) -> None:
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
        _validate_items(value, depth)
    elif value is not None:
        raise TypeError("not JSON")


def _validate_items(value: Any, depth: int) -> None:
    if depth > DEPTH_LIMIT:
        raise ValueError("too deep")
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("a key is not a string")
        for name in value:
            _validate(name, depth)
        value = value.values()
    for item in value:
        _validate(item, depth + 1)


def _finite_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):  # 1e999
        raise ValueError("not finite")
    return value


def _raise_not_allowed(constant: str) -> float:
    raise ValueError(f"{constant} is not allowed")


_CHECK_NAME = re.compile(CHECK_NAME)
# Made once, because json.loads with these options would build a new decoder for each call.
_load = json.JSONDecoder(parse_constant=_raise_not_allowed, parse_float=_finite_float).decode
