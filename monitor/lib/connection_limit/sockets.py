"""The connections of this process, as the kernel knows them, whichever library has accepted them."""

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
_OPEN_STATES = {1, 8}  # ESTABLISHED and CLOSE_WAIT; all others are being closed
_SILENCES = struct.Struct("=B43xI4xI")
"""Of ``struct tcp_info`` (linux/tcp.h): ``tcpi_state``, ``tcpi_last_data_sent`` and ``tcpi_last_data_recv`` in ms."""
_SO_COOKIE = 57
_COOKIE = struct.Struct("=Q")


class Sockets:
    """The connections that this process has accepted on one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_ours: dict[Hashable, bool] = {}

    def descriptors(self) -> list[int]:
        """Return all open descriptors of the process, files included: never fewer than it has connections."""
        return [int(name) for name in os.listdir(_DESCRIPTORS)]  # noqa: PTH208 - called up to 100 times a second

    def connections(self, descriptors: list[int]) -> list[TrackedConnection]:
        """Return those of the descriptors that are open connections on the port."""
        found = []
        is_ours = {}
        for descriptor in descriptors:
            identity = _identity(descriptor)
            if identity is None:
                continue
            ours = self._is_ours.get(identity)
            is_ours[identity] = self._has_port(descriptor) if ours is None else ours
            if is_ours[identity] and (connection := _connection(descriptor, identity)):
                found.append(connection)
        self._is_ours = is_ours
        return found

    def close(self, connection: TrackedConnection) -> bool:
        """End a connection in both directions, so that the server sees its end and releases it.

        Does nothing, and returns False, when the descriptor has become another connection meanwhile.
        """
        duplicate = _duplicate(connection.descriptor)
        if duplicate is None:
            return False
        with duplicate:  # as long as it is open, nothing else can take its place
            if _identity(duplicate.fileno()) != connection.identity:
                return False
            try:
                duplicate.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client was faster
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
            except OSError:  # the listener, or one that has just ended
                return False


def _connection(descriptor: int, identity: Hashable) -> TrackedConnection | None:
    if not _LINUX:
        return TrackedConnection(descriptor, identity)
    info = _option(descriptor, socket.IPPROTO_TCP, socket.TCP_INFO, _SILENCES)
    if info is None or info[0] not in _OPEN_STATES:
        return None
    _, sent_ms, received_ms = info
    return TrackedConnection(descriptor, identity, received_ms / 1000, sent_ms / 1000)


def _identity(descriptor: int) -> Hashable:
    """What no other socket has: its cookie, or where there are none, descriptor and client. None for any other file."""
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


# Python's own calls give way to other threads, each time for a millisecond and longer when those are busy.
_getsockopt = ctypes.PyDLL(None).getsockopt


def _option(descriptor: int, level: int, name: int, layout: struct.Struct) -> tuple[int, ...] | None:
    """The value of a socket's option, or None when it has none."""
    buffer = ctypes.create_string_buffer(layout.size)
    size = ctypes.c_uint32(layout.size)
    failed = _getsockopt(descriptor, level, name, buffer, ctypes.byref(size)) != 0
    return None if failed or size.value < layout.size else layout.unpack(buffer.raw)


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
