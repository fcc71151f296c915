"""Connection to the store with a time limit for each call of the beacon thread."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from monitor.agent.bounded_calls import BoundedCalls
from monitor.agent.connection import AgentConnection, BeaconReply
from monitor.agent.protocol import Beacon

WAIT_AT_LEAST_SECONDS = 2.0


class BoundedConnection:
    """An agent's connection, used by a helper thread. A method that takes too long raises TimeoutError.

    The helper thread continues with the call that takes too long. Until this call has returned, every method raises
    TimeoutError at once.
    """

    def __init__(self, connection: AgentConnection, *, wait_seconds: float) -> None:
        """Set the longest wait for a call: ``wait_seconds``, but at least 2 s."""
        self._connection = connection
        self._wait_seconds = max(WAIT_AT_LEAST_SECONDS, wait_seconds)
        self._calls = BoundedCalls("monitor-store")

    def write(self, beacon: Beacon) -> BeaconReply:
        """Write a beacon; see :meth:`AgentConnection.write`. Raises redis.RedisError, OSError."""
        return self._calls.run(lambda: self._connection.write(beacon), seconds=self._wait_seconds)

    def record(self, executed: Mapping[str, int], by: str) -> None:
        """Record executed heartbeats; see :meth:`AgentConnection.record`. Raises redis.RedisError, OSError."""
        self._calls.run(lambda: self._connection.record(executed, by), seconds=self._wait_seconds)

    def close(self) -> None:
        """Close the connection, unless a call is running. The next call opens a new connection."""
        with contextlib.suppress(TimeoutError):
            self._calls.run(self._connection.close, seconds=self._wait_seconds)
