"""Time limits of consecutive attempts that share one limit."""

from __future__ import annotations

import socket
from collections.abc import MutableMapping
from typing import Any

LEAST_SECONDS = 0.5
"""Shortest useful limit: a distant server needs this long."""


def share(left_seconds: float, attempts_left: int, most_seconds: float | None = None) -> float:
    """Return the time limit of the next of several attempts, in seconds.

    The limit is an equal share of ``left_seconds``, at most ``most_seconds`` (the user's own limit) and at least
    ``LEAST_SECONDS``, but never more than ``left_seconds``. With many attempts no time may be left for the last ones.
    """
    fair = left_seconds / max(1, attempts_left)
    limit = fair if most_seconds is None else min(fair, most_seconds)
    return max(0.0, min(left_seconds, max(LEAST_SECONDS, limit)))


def narrow(options: MutableMapping[str, Any], name: str, limit: float) -> None:
    """Set an option to ``limit`` unless its value is a smaller one. A value of 0 or None means no limit."""
    try:
        value = float(options.get(name) or 0)
    except (TypeError, ValueError):
        return  # the driver reports the invalid value
    if not 0 < value < limit:
        options[name] = limit


def addresses(host: str | None, port: int | str | None = None) -> int:
    """Return the number of addresses of ``host`` that a connection tries, one after another; 1 if it has none."""
    if not host or "/" in host:  # a socket's path; kombu removes its first slash
        return 1
    try:
        return len({info[4] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError):  # UnicodeError for a label of more than 63 characters
        return 1  # the connection itself fails with the reason
