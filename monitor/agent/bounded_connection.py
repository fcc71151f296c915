"""The connection to the store, of which a worker's pulse waits only so long."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from monitor.agent.bounded_calls import BoundedCalls
from monitor.agent.connection import AgentConnection, BeaconReply
from monitor.agent.protocol import Beacon

WAIT_AT_LEAST_SECONDS = 2.0


class BoundedConnection:
    """A link that is used in a thread of its own. Raises TimeoutError where that takes too long.

    Whatever it does then, it goes on doing: until it has returned, everything else here raises TimeoutError at once.
    """

    def __init__(self, link: AgentConnection, *, wait_seconds: float) -> None:
        """``wait_seconds``: how long to wait for a call, 2 s at least."""
        self._link = link
        self._wait_seconds = max(WAIT_AT_LEAST_SECONDS, wait_seconds)
        self._calls = BoundedCalls("monitor-store")

    def write(self, beacon: Beacon) -> BeaconReply:
        """Write a beacon; see :meth:`Link.write`. Raises redis.RedisError, OSError."""
        return self._calls.run(lambda: self._link.write(beacon), seconds=self._wait_seconds)

    def record(self, executed: Mapping[str, int], by: str) -> None:
        """Record executed heartbeats; see :meth:`Link.record`. Raises redis.RedisError, OSError."""
        self._calls.run(lambda: self._link.record(executed, by), seconds=self._wait_seconds)

    def close(self) -> None:
        """Close the connection, unless it is in use. The next use opens one again."""
        with contextlib.suppress(TimeoutError):
            self._calls.run(self._link.close, seconds=self._wait_seconds)
