"""The process that check processes are forked from: imports once, forks in milliseconds.

``python -m monitor.executor.zygote ADDRESS TARGET [KIND...]`` listens on a unix socket and forks a check process
for every connection. TARGET is a module with ``prepare(kinds)`` and ``run(kind, options, timeout_seconds, past)``.
Whoever finds the address taken leaves at once, so several starters need no lock. Leaves by itself
when nobody has been connected for a while, so that a killed worker leaves nothing behind.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import selectors
import signal
import socket
import struct
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

from monitor.executor.address import socket_address

IDLE_SECONDS = 5.0


def main(address: str, target: str, kinds: list[str]) -> int:
    """Serve until idle. Exit status 0, also when another zygote has the address already."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the worker decides
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(socket_address(address))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return 0
        raise
    listener.listen(128)
    module = importlib.import_module(target)
    module.prepare(kinds)
    gc.collect()
    gc.freeze()  # what is here already is not looked at again, and so stays shared with every child
    _accept(listener, module)
    return 0


def _accept(listener: socket.socket, module: Any) -> None:
    children: set[int] = set()
    idle_since = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while children or time.monotonic() - idle_since < IDLE_SECONDS:
            if selector.select(timeout=1.0):
                client, _ = listener.accept()
                with client:
                    if _is_ours(client):
                        children.add(_fork(listener, client, module))
            children -= _reap()
            if children:
                idle_since = time.monotonic()


def _is_ours(client: socket.socket) -> bool:
    """Abstract names have no permissions: only our own user may ask (SO_PEERCRED, unix(7))."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", credentials)[1] == os.getuid())


def _fork(listener: socket.socket, client: socket.socket, module: Any) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        from monitor.executor.child import serve  # noqa: PLC0415

        listener.close()
        serve(Connection(client.detach()), module.run)
        status = 0
    finally:
        os._exit(status)  # never return into the zygote's loop, nor run its exit handlers


def _reap() -> set[int]:
    gone: set[int] = set()
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return gone
        if pid == 0:
            return gone
        gone.add(pid)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
