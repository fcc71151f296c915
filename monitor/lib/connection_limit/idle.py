"""Idle times of connections, and the selection of those to close. Pure: the time is an argument.

The idle time begins with the last response, or with the start of the current request. Single bytes do not count as
progress: otherwise a client that sends one byte a second on each of its connections could keep all of them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

REQUEST_SECONDS = 30.0
"""Age at which a request without a response is closed, even below the limit: all responses take milliseconds."""

ANSWER_SECONDS = 1.0
"""Age up to which a request probably gets its response soon: such connections are closed last."""

NEW_SECONDS = 0.05
"""Time for which a connection is observed before it may be closed: enough for the response to a probe."""


@dataclass(frozen=True, slots=True)
class TrackedConnection:
    """Open connection: its descriptor, its unique identity, and the seconds since either side last sent data.

    If a side has sent nothing yet, its time begins when the connection was established. Both times are infinite on
    systems that do not report them.
    """

    descriptor: int
    identity: Hashable
    client_silent_seconds: float = math.inf
    server_silent_seconds: float = math.inf

    @property
    def has_request(self) -> bool:
        """True if the client has sent data since the last response."""
        # The kernel sets both times when a connection is established, but not always to the same millisecond.
        return self.client_silent_seconds < self.server_silent_seconds - 0.01


@dataclass(frozen=True, slots=True)
class _Past:
    """Times at which a connection and its current request were first observed."""

    observed_at: float
    request_at: float | None = None


class IdleTimes:
    """Idle times of the open connections, derived from repeated observations."""

    def __init__(self) -> None:
        self._pasts: dict[Hashable, _Past] = {}

    def observe(self, connections: Iterable[TrackedConnection], now: float) -> list[tuple[float, TrackedConnection]]:
        """Return the connections with their idle seconds, in the order in which to close them.

        The longest idle connection is first; those with a request of less than ``ANSWER_SECONDS`` are last. ``now``
        never decreases.
        """
        pasts: dict[Hashable, _Past] = {}
        idle = []
        for connection in connections:
            past = _advance(self._pasts.get(connection.identity, _Past(now)), connection, now)
            pasts[connection.identity] = past
            idle_since = now - connection.server_silent_seconds if past.request_at is None else past.request_at
            # The time before the server accepted the connection does not count: it may be a probe that had to wait.
            seconds = now - max(idle_since, past.observed_at)
            is_waiting = connection.has_request and seconds < ANSWER_SECONDS
            idle.append((is_waiting, -seconds, idle_since, connection))
        self._pasts = pasts
        idle.sort(key=lambda entry: entry[:3])
        return [(-negative, connection) for _, negative, _, connection in idle]


def surplus(idle: Sequence[tuple[float, TrackedConnection]], bound: int) -> list[TrackedConnection]:
    """Return the connections to close: the first ones, as many as exceed ``bound``, and those with a stuck request."""
    old = [(seconds, connection) for seconds, connection in idle if seconds >= NEW_SECONDS]
    over = max(0, len(idle) - bound)
    stuck = (connection for seconds, connection in old[over:] if connection.has_request and seconds > REQUEST_SECONDS)
    return [*(connection for _, connection in old[:over]), *stuck]


def _advance(past: _Past, connection: TrackedConnection, now: float) -> _Past:
    if not connection.has_request:
        return _Past(past.observed_at)
    is_new_request = past.request_at is None or past.request_at < now - connection.server_silent_seconds
    if is_new_request:  # the server has responded to the previous request
        return _Past(past.observed_at, now - connection.client_silent_seconds)
    return past
