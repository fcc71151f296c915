"""Parser of times and durations in requests: ``-24h``, ``now``, ``2026-11-20T03:12:00Z``, ``1763608320``."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from monitor.config.units import seconds as seconds_of

HINT = "write a span back from now such as '-24h' or '-30m', a time such as '2026-11-20T03:12:00Z', or epoch seconds"
SPAN_HINT = "write a duration such as '10s', '5m', '24h' or '90d'"
LATEST = 253_402_300_799.0  # the end of the year 9999, the last year of ISO 8601 dates


def parse_moment(text: str, now: float) -> float:
    """Return a time in epoch seconds. A time without an offset is UTC. Raise ValueError with a hint as its message."""
    text = text.strip()
    if not text.isascii():  # float() accepts the digits of all scripts
        raise ValueError(HINT)
    if text in ("", "now"):
        return now
    at = now - parse_span(text[1:], HINT) if text.startswith("-") else _absolute(text)
    if not 0 <= at <= LATEST:
        raise ValueError(HINT)
    return at


def parse_span(text: str, hint: str = SPAN_HINT) -> float:
    """Return a duration in seconds, more than 0. Raise ValueError with ``hint`` as its message."""
    try:
        found = float(seconds_of(text.strip()))
    except ValueError:
        raise ValueError(hint) from None
    if not 0 < found < math.inf:
        raise ValueError(hint)
    return found


def _absolute(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        # A query of a URL may contain the plus sign of an offset. It was then decoded as a space.
        at = datetime.fromisoformat(text.replace(" ", "+", 1) if text.count(" ") == 1 and "T" in text else text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(HINT) from None
