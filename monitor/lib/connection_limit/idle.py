"""Which connections have been idle for longest. Pure: the time is an argument.

Idle is the time since the last progress that counts: an answer, or the start of the request that is being answered. A
byte does not count, or a client that sends one byte a second on each of its connections would keep all of them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

REQUEST_SECONDS = 30.0
"""A request that is not answered for so long is given up, however few are open: all our answers take milliseconds."""

ANSWER_SECONDS = 1.0
"""A request that is younger is about to be answered: its connection goes last."""

NEW_SECONDS = 0.05
"""A connection is observed for so long before it may be closed: a probe is answered by then."""


@dataclass(frozen=True, slots=True)
class TrackedConnection:
    """An open connection: its descriptor, what no other one has, and the seconds since either side sent something.

    Both times are those since the connection was established while nothing has been sent, and infinite where the
    system does not tell them.
    """

    descriptor: int
    identity: Hashable
    client_silent_seconds: float = math.inf
    server_silent_seconds: float = math.inf

    @property
    def has_request(self) -> bool:
        """Whether the client has sent something since the last answer."""
        # The kernel sets both times when it establishes a connection, but not always in the same millisecond.
        return self.client_silent_seconds < self.server_silent_seconds - 0.01


@dataclass(frozen=True, slots=True)
class _Past:
    """When a connection was first observed, and when its present request was."""

    observed_at: float
    request_at: float | None = None


class IdleTimes:
    """How long each connection has been idle; remembers what it has observed of those that are open."""

    def __init__(self) -> None:
        self._pasts: dict[Hashable, _Past] = {}

    def observe(self, connections: Iterable[TrackedConnection], now: float) -> list[tuple[float, TrackedConnection]]:
        """Return the connections with their idle seconds, in the order in which to close them.

        That is the longest idle first, those in the middle of a request last. ``now`` never goes back.
        """
        pasts: dict[Hashable, _Past] = {}
        idle = []
        for connection in connections:
            past = _advance(self._pasts.get(connection.identity, _Past(now)), connection, now)
            pasts[connection.identity] = past
            begun = now - connection.server_silent_seconds if past.request_at is None else past.request_at
            # What waited to be accepted has been silent as well, and may be a probe: that time does not count.
            seconds = now - max(begun, past.observed_at)
            is_waiting = connection.has_request and seconds < ANSWER_SECONDS
            idle.append((is_waiting, -seconds, begun, connection))
        self._pasts = pasts
        idle.sort(key=lambda one: one[:3])
        return [(-negative, connection) for _, negative, _, connection in idle]


def surplus(idle: Sequence[tuple[float, TrackedConnection]], bound: int) -> list[TrackedConnection]:
    """Return the connections to close: the first of them above ``bound``, and requests that are never answered."""
    old = [(seconds, connection) for seconds, connection in idle if seconds >= NEW_SECONDS]
    over = max(0, len(idle) - bound)
    stuck = (connection for seconds, connection in old[over:] if connection.has_request and seconds > REQUEST_SECONDS)
    return [*(connection for _, connection in old[:over]), *stuck]


def _advance(past: _Past, connection: TrackedConnection, now: float) -> _Past:
    if not connection.has_request:
        return _Past(past.observed_at)
    if past.request_at is None or past.request_at < now - connection.server_silent_seconds:  # that one is answered
        return _Past(past.observed_at, now - connection.client_silent_seconds)
    return past
