"""The connections of this process, as the kernel knows them, whichever library has accepted them."""

from __future__ import annotations

import os
import socket
import struct
import sys

from monitor.connection_limit.idle import Connection

_OPEN_STATES = {1, 8}  # ESTABLISHED and CLOSE_WAIT; all others are being closed
_LINUX = sys.platform == "linux"
_DESCRIPTORS = "/proc/self/fd" if _LINUX else "/dev/fd"
_SILENCES = struct.Struct("=B43xI4xI")
"""Of ``struct tcp_info`` (linux/tcp.h): ``tcpi_state``, ``tcpi_last_data_sent`` and ``tcpi_last_data_recv`` in ms."""


class Sockets:
    """The connections that this process has accepted on one port."""

    def __init__(self, port: int) -> None:
        self._port = port

    def descriptors(self) -> list[int]:
        """Return all open descriptors of the process, files included: never fewer than it has connections."""
        return [int(name) for name in os.listdir(_DESCRIPTORS)]  # noqa: PTH208 - called 20 times a second

    def connections(self, descriptors: list[int]) -> list[Connection]:
        """Return those of the descriptors that are open connections on the port."""
        return [found for descriptor in descriptors if (found := self._connection(descriptor))]

    def close(self, connection: Connection) -> bool:
        """End a connection in both directions, so that the server sees its end and releases it.

        Does nothing, and returns False, when the descriptor has become another connection meanwhile.
        """
        duplicate = _duplicate(connection.descriptor)
        if duplicate is None:
            return False
        with duplicate:  # as long as it is open, nothing else can take its place
            if self._client(duplicate) != connection.client:
                return False
            try:
                duplicate.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client was faster
                return False
            return True

    def _connection(self, descriptor: int) -> Connection | None:
        duplicate = _duplicate(descriptor)
        if duplicate is None:
            return None
        with duplicate:
            client = self._client(duplicate)
            if client is None or not _LINUX:
                return client and Connection(descriptor, client)
            try:
                info = duplicate.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SILENCES.size)
            except OSError:
                return None
        state, sent_ms, received_ms = _SILENCES.unpack(info)
        return Connection(descriptor, client, received_ms / 1000, sent_ms / 1000) if state in _OPEN_STATES else None

    def _client(self, connection: socket.socket) -> tuple[str, int] | None:
        """The address of the client, or None for anything but a connection on the port."""
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.type != socket.SOCK_STREAM:
            return None
        try:
            if connection.getsockname()[1] != self._port:
                return None
            host, port, *_ = connection.getpeername()
        except OSError:  # the listener, or one that has just ended
            return None
        return host, port


def _duplicate(descriptor: int) -> socket.socket | None:
    """A descriptor of our own for the same socket, or None when there is no socket, or no room for one more."""
    try:
        duplicate = os.dup(descriptor)
    except OSError:
        return None
    try:
        return socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        return None
