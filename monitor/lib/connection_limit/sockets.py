"""Connections of this process, read from the kernel. So it does not matter which library has accepted them."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from collections.abc import Hashable

from monitor.lib.connection_limit.idle import TrackedConnection

_LINUX = sys.platform == "linux"
_DESCRIPTORS = "/proc/self/fd" if _LINUX else "/dev/fd"
_OPEN_STATES = {1, 8}  # ESTABLISHED and CLOSE_WAIT; in all other states the connection is being closed
_TCP_INFO = struct.Struct("=B43xI4xI")
"""Fields of ``struct tcp_info`` (linux/tcp.h): ``tcpi_state``, and in ms ``tcpi_last_data_sent``, ``..._recv``."""
_SO_COOKIE = 57
_COOKIE = struct.Struct("=Q")


class Sockets:
    """Connections that this process has accepted on one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_on_port: dict[Hashable, bool] = {}

    def descriptors(self) -> list[int]:
        """Return all open descriptors of the process, which include the connections."""
        return [int(name) for name in os.listdir(_DESCRIPTORS)]  # noqa: PTH208 - called up to 100 times a second

    def connections(self, descriptors: list[int]) -> list[TrackedConnection]:
        """Return the open connections on the port among the descriptors."""
        on_port = []
        is_on_port = {}
        for descriptor in descriptors:
            identity = _identity(descriptor)
            if identity is None:
                continue
            known = self._is_on_port.get(identity)
            is_on_port[identity] = self._has_port(descriptor) if known is None else known
            if is_on_port[identity] and (connection := _connection(descriptor, identity)):
                on_port.append(connection)
        self._is_on_port = is_on_port
        return on_port

    def close(self, connection: TrackedConnection) -> bool:
        """Shut a connection down in both directions. The server then reads the end of the connection and closes it.

        Return False if the connection has ended. Its descriptor may then belong to another connection, which is left
        open.
        """
        duplicate = _duplicate(connection.descriptor)
        if duplicate is None:
            return False
        with duplicate:  # while the duplicate is open, it refers to the same socket
            if _identity(duplicate.fileno()) != connection.identity:
                return False
            try:
                duplicate.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client has closed the connection
                return False
            return True

    def _has_port(self, descriptor: int) -> bool:
        duplicate = _duplicate(descriptor)
        if duplicate is None:
            return False
        with duplicate:
            if duplicate.family not in (socket.AF_INET, socket.AF_INET6) or duplicate.type != socket.SOCK_STREAM:
                return False
            try:
                duplicate.getpeername()
                return bool(duplicate.getsockname()[1] == self._port)
            except OSError:  # the listening socket, or a connection that has just ended
                return False


def _connection(descriptor: int, identity: Hashable) -> TrackedConnection | None:
    if not _LINUX:
        return TrackedConnection(descriptor, identity)
    info = _option(descriptor, socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO)
    if info is None or info[0] not in _OPEN_STATES:
        return None
    _, sent_ms, received_ms = info
    return TrackedConnection(descriptor, identity, received_ms / 1000, sent_ms / 1000)


def _identity(descriptor: int) -> Hashable:
    """Return a unique value of a socket, or None if the descriptor has none.

    On Linux the value is the cookie of the socket. On other systems it is the address of the client.
    """
    if _LINUX:
        return _option(descriptor, socket.SOL_SOCKET, _SO_COOKIE, _COOKIE)
    duplicate = _duplicate(descriptor)
    if duplicate is None:
        return None
    with duplicate:
        try:
            return duplicate.getpeername()  # type: ignore[no-any-return]
        except OSError:
            return None


# A function of a PyDLL keeps the GIL. socket.getsockopt releases the GIL, and a busy thread then keeps it for a
# millisecond or more.
_getsockopt = ctypes.PyDLL(None).getsockopt


def _option(descriptor: int, level: int, name: int, layout: struct.Struct) -> tuple[int, ...] | None:
    """Return the fields of a socket's option, or None if the descriptor has no such option."""
    buffer = ctypes.create_string_buffer(layout.size)
    size = ctypes.c_uint32(layout.size)
    failed = _getsockopt(descriptor, level, name, buffer, ctypes.byref(size)) != 0
    return None if failed or size.value < layout.size else layout.unpack(buffer.raw)


def _duplicate(descriptor: int) -> socket.socket | None:
    """Return a second descriptor of the same socket, or None if there is no socket or no free descriptor."""
    try:
        duplicate = os.dup(descriptor)
    except OSError:
        return None
    try:
        return socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        return None
