"""The agent's own connection to the store. Every step has a timeout, and CLIENT SETNAME names the worker's instance."""

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
"""The timeout allows for networks with a round trip of 1 s, or with retransmissions after 3 s."""


def timeout_seconds(interval_seconds: float) -> float:
    """Return the timeout of one step of a connection: half an interval, between 2 and 5 s."""
    return min(max(TIMEOUT_AT_LEAST_SECONDS, interval_seconds / 2), TIMEOUT_AT_MOST_SECONDS)


class BeaconReply(NamedTuple):
    """The store's reply to a beacon. Times are in microseconds by the store's clock."""

    now_us: int
    executed_us: int | None
    """Send time of the newest direct heartbeat that was executed."""
    emitted_us: int | None
    """Send time of the newest direct heartbeat."""


class AgentConnection:
    """Connection that writes the reports of one worker's agent. One thread uses it; it connects on first use."""

    def __init__(self, url: str, prefix: str, node: str, target: str, *, timeout_seconds: float) -> None:
        """Prepare the connection, without opening it.

        ``target`` is the :attr:`Beacon.target` of this instance of ``node``. ``timeout_seconds`` limits each of
        connecting, sending and receiving. Raises ValueError for a wrong URL.
        """
        self.client_id: int | None = None
        """CLIENT ID of the newest connection; None if the server does not permit the command."""
        self._node, self._target = node, target
        self._worked = False
        self._keys = Keys.of(prefix)
        pool = connection_pool(url, timeout_seconds=timeout_seconds)
        # redis-py calls this for each new connection, also for one that it opens to replace a broken one.
        pool.connection_kwargs["redis_connect_func"] = self._introduce
        self._pool = pool
        self._client = redis.Redis(connection_pool=pool)

    def write(self, beacon: Beacon) -> BeaconReply:
        """Write a beacon with the ``client_id`` of the connection that writes it. Raises redis.RedisError, OSError."""
        try:
            return self._write(beacon)
        except (ConnectionError, TimeoutError):
            # The connection may have broken while it was idle: try once more if it worked before.
            worked, self._worked = self._worked, False
            if not worked:
                raise
            return self._write(beacon)

    def record(self, executed: Mapping[str, int], by: str) -> None:
        """Record the heartbeats that the worker ``by`` (``NODE|INSTANCE``) has executed: target field -> send time.

        Raises redis.RedisError, OSError.
        """
        try:
            for field, sent in executed.items():
                scripts.run(self._client, scripts.EXECUTED, (self._keys.heartbeats,), (field, sent, by))
        except (ConnectionError, TimeoutError):
            self._worked = False  # the next beacon is late already: it gets no second attempt
            raise

    def close(self) -> None:
        """Close the connection. The next use opens a new one."""
        self.client_id, self._worked = None, False
        self._pool.disconnect()

    def _write(self, beacon: Beacon) -> BeaconReply:
        if self.client_id is None:
            self._client.time()  # connects
        client_id = self.client_id
        reply = self._send(replace(beacon, client_id=client_id))
        if self.client_id != client_id:  # redis-py has opened a new connection meanwhile
            reply = self._send(replace(beacon, client_id=self.client_id))
        self._worked = True
        return reply

    def _send(self, beacon: Beacon) -> BeaconReply:
        arguments = (self._node, encode(beacon), beacon.instance, target_field("worker", self._target))
        now, executed, emitted = scripts.run(self._client, scripts.BEACON, tuple(self._keys), arguments)
        return BeaconReply(int(now), _microseconds(executed), _microseconds(emitted))

    def _introduce(self, connection: Any) -> None:
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
