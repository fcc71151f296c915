"""Idle times of connections, and the selection of the connections to close. Pure: the time is an argument.

While a connection has a request without a response, its idle time begins with the first byte of the request. Otherwise
it begins with the last response. Further bytes of the request do not restart the idle time: with a restart, a client
could keep all its connections open by sending one byte a second on each.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

REQUEST_SECONDS = 30.0
"""Idle time after which a connection with a request is closed, even below the limit. A response takes milliseconds."""

RESPONSE_SECONDS = 1.0
"""Idle time up to which a connection with a request is closed last, because it probably gets its response soon."""

NEW_SECONDS = 0.05
"""Shortest time between the first observation of a connection and its closing. A response to a probe takes less."""


@dataclass(frozen=True, slots=True)
class TrackedConnection:
    """Open connection. ``identity`` is unique; a later connection may have the same descriptor.

    ``client_silent_seconds`` and ``server_silent_seconds`` are the times since the client and the server last sent
    data, or since the connection was established if they have sent nothing. On systems that do not report these times,
    both are infinite.
    """

    descriptor: int
    identity: Hashable
    client_silent_seconds: float = math.inf
    server_silent_seconds: float = math.inf

    @property
    def has_request(self) -> bool:
        """True if the client has sent data after the server's last response."""
        # The kernel sets both times when a connection is established, but not always to the same millisecond.
        return self.client_silent_seconds < self.server_silent_seconds - 0.01


@dataclass(frozen=True, slots=True)
class _Times:
    """Time at which a connection was first observed, and the time at which its current request began."""

    observed_at: float
    request_at: float | None = None


class IdleTimes:
    """Idle times of the open connections, derived from repeated observations."""

    def __init__(self) -> None:
        self._observed: dict[Hashable, _Times] = {}

    def observe(self, connections: Iterable[TrackedConnection], now: float) -> list[tuple[float, TrackedConnection]]:
        """Return the connections with their idle seconds, in the order in which to close them.

        Connections with a request and an idle time below ``RESPONSE_SECONDS`` are last. Otherwise the connection that
        has been idle for longest is first. ``now`` must not be lower than in the previous call.
        """
        observed: dict[Hashable, _Times] = {}
        idle = []
        for connection in connections:
            times = _advance(self._observed.get(connection.identity, _Times(now)), connection, now)
            observed[connection.identity] = times
            idle_since = now - connection.server_silent_seconds if times.request_at is None else times.request_at
            # The time before the first observation does not count: a probe may have waited to be accepted.
            seconds = now - max(idle_since, times.observed_at)
            is_waiting = connection.has_request and seconds < RESPONSE_SECONDS
            idle.append((is_waiting, -seconds, idle_since, connection))
        self._observed = observed
        idle.sort(key=lambda entry: entry[:3])
        return [(-negative, connection) for _, negative, _, connection in idle]


def surplus(idle: Sequence[tuple[float, TrackedConnection]], bound: int) -> list[TrackedConnection]:
    """Return the connections to close.

    These are the first connections of ``idle``, as many as there are above ``bound``, and all connections whose request
    is older than ``REQUEST_SECONDS``. A connection that was first observed less than ``NEW_SECONDS`` ago is not closed.
    """
    old = [(seconds, connection) for seconds, connection in idle if seconds >= NEW_SECONDS]
    excess = max(0, len(idle) - bound)
    stuck = (connection for seconds, connection in old[excess:] if connection.has_request and seconds > REQUEST_SECONDS)
    return [*(connection for _, connection in old[:excess]), *stuck]


def _advance(times: _Times, connection: TrackedConnection, now: float) -> _Times:
    if not connection.has_request:
        return _Times(times.observed_at)
    is_new_request = times.request_at is None or times.request_at < now - connection.server_silent_seconds
    if is_new_request:  # the server has responded to the previous request
        return _Times(times.observed_at, now - connection.client_silent_seconds)
    return times
