"""Time limits of attempts that are made one after another and share one time limit."""

from __future__ import annotations

import socket
from collections.abc import MutableMapping
from typing import Any

LEAST_SECONDS = 0.5
"""Shortest useful time limit of an attempt: a connection to a distant server takes this long."""


def share(left_seconds: float, attempts_left: int, most_seconds: float | None = None) -> float:
    """Return the time limit of the next of ``attempts_left`` attempts, in seconds.

    The limit is an equal share of ``left_seconds``, but at most ``most_seconds``, a limit that the user has set. A
    lower result is raised to ``LEAST_SECONDS``. The limit is never more than ``left_seconds``. So if there are many
    attempts, the last attempts may get no time.
    """
    equal_share = left_seconds / max(1, attempts_left)
    limit = equal_share if most_seconds is None else min(equal_share, most_seconds)
    return max(0.0, min(left_seconds, max(LEAST_SECONDS, limit)))


def limit_timeout(options: MutableMapping[str, Any], name: str, limit: float) -> None:
    """Set an option to ``limit`` unless it has a lower value. A value of 0 or None means that there is no limit."""
    try:
        value = float(options.get(name) or 0)
    except (TypeError, ValueError):
        return  # the driver reports the invalid value
    if not 0 < value < limit:
        options[name] = limit


def address_count(host: str | None, port: int | str | None = None) -> int:
    """Return the number of addresses of ``host`` that a connection tries one after another; at least 1."""
    if not host or "/" in host:  # the path of a socket; kombu removes its first slash
        return 1
    try:
        return len({info[4] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError):  # UnicodeError for a label of more than 63 characters
        return 1  # the connection will fail and report the reason
