"""The agent's own connection to the store. Every operation has a timeout.

The name of the connection (CLIENT SETNAME) contains the worker's instance, so that the monitor can find it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import redis
from redis.exceptions import ConnectionError, ResponseError, TimeoutError

from monitor.agent import scripts
from monitor.agent.protocol import Beacon, Keys, client_name, encode, target_field
from monitor.lib.redis_pool import connection_pool

TIMEOUT_AT_LEAST_SECONDS, TIMEOUT_AT_MOST_SECONDS = 2.0, 5.0
"""Limits of the timeout. They suffice for a network with a round trip of 1 s, or with a retransmission after 3 s."""


def timeout_seconds(interval_seconds: float) -> float:
    """Return the timeout of one operation on a connection: half an interval, at least 2 s, at most 5 s."""
    return min(max(TIMEOUT_AT_LEAST_SECONDS, interval_seconds / 2), TIMEOUT_AT_MOST_SECONDS)


class BeaconReply(NamedTuple):
    """The store's reply to a beacon. Times are in microseconds by the store's clock."""

    now_us: int
    executed_us: int | None
    """Send time of the newest executed direct heartbeat; None if there is none."""
    emitted_us: int | None
    """Send time of the newest direct heartbeat; None if there is none."""


class AgentConnection:
    """Connection that writes the beacons and executed heartbeats of one worker. Only one thread may use it."""

    def __init__(self, url: str, prefix: str, node: str, target: str, *, timeout_seconds: float) -> None:
        """Prepare the connection. The first use opens it. Raises ValueError for an invalid URL.

        ``target`` is the :attr:`Beacon.target` of this instance of ``node``. ``timeout_seconds`` is the timeout of
        connecting, of sending and of receiving.
        """
        self.client_id: int | None = None
        """CLIENT ID of the newest connection; None if the server does not permit the command."""
        self._node, self._target = node, target
        self._has_worked = False
        self._keys = Keys.of(prefix)
        pool = connection_pool(url, timeout_seconds=timeout_seconds)
        # redis-py calls this function for each new connection, also if it replaces a broken connection.
        pool.connection_kwargs["redis_connect_func"] = self._set_up_connection
        self._pool = pool
        self._client = redis.Redis(connection_pool=pool)

    def write(self, beacon: Beacon) -> BeaconReply:
        """Write a beacon with the ``client_id`` of the connection that writes it. Raises redis.RedisError, OSError."""
        try:
            return self._write(beacon)
        except (ConnectionError, TimeoutError):
            # The connection may have broken while it was idle. If it worked before, try once more on a new connection.
            has_worked, self._has_worked = self._has_worked, False
            if not has_worked:
                raise
            return self._write(beacon)

    def record(self, executed: Mapping[str, int], by: str) -> None:
        """Record executed heartbeats. Raises redis.RedisError, OSError.

        ``executed`` has the send time of each heartbeat, by target field. ``by`` is the worker that executed them:
        ``NODE|INSTANCE``.
        """
        try:
            for field, sent in executed.items():
                scripts.run(self._client, scripts.EXECUTED, (self._keys.heartbeats,), (field, sent, by))
        except (ConnectionError, TimeoutError):
            self._has_worked = False  # the next beacon gets no second attempt, because this call has delayed it
            raise

    def close(self) -> None:
        """Close the connection. The next use opens a new connection."""
        self.client_id, self._has_worked = None, False
        self._pool.disconnect()

    def _write(self, beacon: Beacon) -> BeaconReply:
        if self.client_id is None:
            self._client.time()  # connects
        client_id = self.client_id
        reply = self._send(replace(beacon, client_id=client_id))
        if self.client_id != client_id:  # redis-py has opened a new connection meanwhile
            reply = self._send(replace(beacon, client_id=self.client_id))
        self._has_worked = True
        return reply

    def _send(self, beacon: Beacon) -> BeaconReply:
        arguments = (self._node, encode(beacon), beacon.instance, target_field("worker", self._target))
        now, executed, emitted = scripts.run(self._client, scripts.BEACON, tuple(self._keys), arguments)
        return BeaconReply(int(now), _microseconds(executed), _microseconds(emitted))

    def _set_up_connection(self, connection: Any) -> None:
        connection.on_connect()
        self.client_id = None
        _try_command(connection, "CLIENT", "SETNAME", client_name(self._target))
        answer = _try_command(connection, "CLIENT", "ID")
        self.client_id = int(answer) if answer is not None else None


def _try_command(connection: Any, *command: str) -> Any:
    """Return a command's reply; None if the server refuses the command."""
    connection.send_command(*command)
    try:
        return connection.read_response()
    except ResponseError:
        return None


def _microseconds(value: bytes | None) -> int | None:
    digits = re.match(rb"[0-9]{1,16}(?![0-9])", value or b"")
    return int(digits[0]) if digits else None
