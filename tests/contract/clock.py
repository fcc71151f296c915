"""A proxy in front of a Redis that replaces its clock, so that what is stored can be compared byte for byte.

Every ``TIME`` (as a command, and as a call in a Lua script) gives the proxy's time: a fixed one, or one that runs from
a given start. Scripts are recognised by their text, so nothing of our code is named here.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import BinaryIO

CALL = b"redis.call('TIME')"


class ClockProxy:
    """A TCP proxy on a free port of 127.0.0.1. ``seconds`` is the time that it gives; with ``runs`` it goes on."""

    def __init__(self, port: int, seconds: float, *, runs: bool = False) -> None:
        self._upstream, self._runs = port, runs
        self.set(seconds)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="clock-proxy", daemon=True).start()

    @property
    def url(self) -> str:
        """The address of database 0 behind the proxy."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def now(self) -> float:
        """The time that the proxy gives, in seconds since the epoch."""
        return self._seconds + (time.monotonic() - self._set_at if self._runs else 0.0)

    def set(self, seconds: float) -> None:
        """Set the clock."""
        self._seconds, self._set_at = seconds, time.monotonic()

    def close(self) -> None:
        """Take no more connections. Those that are open end with their clients."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._upstream))
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
                threading.Thread(target=_replies, args=(server, client), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), client.makefile("rb") as stream:
            while command := _read(stream):
                server.sendall(_encode(self._with_our_time(command)))
        for each in (client, server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _with_our_time(self, command: list[bytes]) -> list[bytes]:
        name = command[0].upper()
        if name not in (b"TIME", b"EVAL"):
            return command
        seconds, microseconds = divmod(round(self.now * 1e6), 10**6)
        table = b"{'%d','%d'}" % (seconds, microseconds)
        if name == b"TIME":
            return [b"EVAL", b"return " + table, b"0"]
        return [name, command[1].replace(CALL, table), *command[2:]]


def _read(stream: BinaryIO) -> list[bytes]:
    """Read one command, as clients send it: an array of bulk strings. Empty at the end of the connection."""
    head = stream.readline()
    command = []
    for _ in range(int(head[1:]) if head else 0):
        length = int(stream.readline()[1:])
        command.append(stream.read(length + 2)[:-2])
    return command


def _encode(command: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in command)


def _replies(server: socket.socket, client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := server.recv(65536):
            client.sendall(data)
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
