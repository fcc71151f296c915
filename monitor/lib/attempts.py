"""Time limits of attempts that are made one after another and share one patience."""

from __future__ import annotations

import socket
from collections.abc import MutableMapping
from typing import Any

LEAST_SECONDS = 0.5
"""A server that is merely far away needs as long."""


def share(left_seconds: float, attempts_left: int, most_seconds: float | None = None) -> float:
    """Return how long the next of several attempts may take, in seconds.

    That is its equal share of ``left_seconds``, and at most ``most_seconds``, the user's own limit. It is at least
    ``LEAST_SECONDS`` while so much is left: then there is no time for the last attempts.
    """
    fair = left_seconds / max(1, attempts_left)
    limit = fair if most_seconds is None else min(fair, most_seconds)
    return max(0.0, min(left_seconds, max(LEAST_SECONDS, limit)))


def narrow(options: MutableMapping[str, Any], name: str, limit: float) -> None:
    """Set an option to ``limit``, unless the user has set a narrower one. A user's 0, or none at all, is no limit."""
    try:
        own = float(options.get(name) or 0)
    except (TypeError, ValueError):
        return  # the driver says that it is nonsense
    if not 0 < own < limit:
        options[name] = limit


def addresses(host: str | None, port: int | str | None = None) -> int:
    """Return how many addresses of ``host`` a connection to it tries, one after another; 1 if it has none."""
    if not host or "/" in host:  # a socket's path, of which kombu takes the first slash away
        return 1
    try:
        return len({each[4] for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError):  # the latter for a label of more than 63 characters
        return 1  # whoever connects finds out what is wrong with the name
