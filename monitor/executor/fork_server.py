"""Fork server: the process that imports everything once and forks check processes in milliseconds.

``python -m monitor.executor.fork_server SOCKET LOCK TARGET [KIND...]`` reads requests from the socket whose descriptor
it has inherited (see `sockets`) and forks a check process for each. TARGET is a module with ``prepare(kinds)`` and
``run(kind, options, timeout_seconds, past)``. A fork server exits at once if another one holds the lock, so several
processes may start one at the same time. A fork server ends, and kills its check processes, when every process that
could send a request has ended: a killed worker leaves no process behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import logging
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from monitor.executor.sockets import CLOSE_ON_EXEC, LEASH, PIDFD
from monitor.lib.redaction import scrub

LOCK_SECONDS = 1.0  # longer than a process that only tests the lock holds it

logger = logging.getLogger(__name__)


def main(requests: int, lock: int, target: str, kinds: list[str]) -> int:
    """Serve until no client is left, and return the exit status.

    0 after serving, or if another fork server serves already; 1 if TARGET cannot be prepared.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the group; the worker decides
    for inherited in (requests, lock):
        os.set_inheritable(inherited, False)  # a program that a check starts must not keep the fork server alive
    if not _acquire(lock):
        return 0
    module: Any = importlib.import_module(target)
    try:
        module.prepare(kinds)
    except Exception as error:  # noqa: BLE001 - a project's settings and applications are imported there
        logger.error("no check process can be started: %s", _description(error))
        return 1
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # the id of a child is not reused until this process reaps it
    gc.collect()
    gc.freeze()  # the collector no longer touches existing objects, so their memory stays shared with the children
    with socket.socket(fileno=requests) as client:
        _ForkServer(client, module).serve()
    return 0


class _ForkServer:
    """Loop that forks check processes, reaps them, and kills those whose client has closed the leash."""

    def __init__(self, requests: socket.socket, module: Any) -> None:
        self._requests = requests
        self._module = module
        self._children: set[int] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)

    def serve(self) -> None:
        """Respond to requests until no process can send one; then kill the remaining check processes."""
        while True:
            for key, _ in self._selector.select(timeout=1.0):
                if key.fileobj is not self._requests:
                    self._on_leash_closed(key)
                elif not self._respond():
                    for pid in self._children:
                        os.kill(pid, signal.SIGKILL)
                    return
            self._reap()

    def _respond(self) -> bool:
        """Fork a process for one request. Return False when no client is left."""
        data, descriptors, _, _ = socket.recv_fds(self._requests, 1, 1, CLOSE_ON_EXEC)
        for descriptor in descriptors:
            with socket.socket(fileno=descriptor) as client:
                client.set_inheritable(False)
                try:
                    self._send_handle(client, self._fork(client))
                except ConnectionError:  # the client no longer waits; the new process finds its connection closed, too
                    pass
                except OSError as error:  # too many processes or descriptors; the client finds its connection closed
                    logger.error("no check process: %s", error)
        return bool(data)

    def _fork(self, client: socket.socket) -> int:
        pid = os.fork()
        if pid:
            self._children.add(pid)
            return pid
        status = 1
        try:
            from monitor.executor.child import serve  # noqa: PLC0415

            for key in list(self._selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]  # all of them are sockets
            self._selector.close()
            serve(Connection(client.detach()), self._module.run)
            status = 0
        finally:
            os._exit(status)  # never return to the fork server's loop, and never run its exit handlers

    def _send_handle(self, client: socket.socket, pid: int) -> None:
        """Send the client a handle to kill the process.

        The process is a child that is not reaped yet, so its id cannot belong to another process.
        """
        # pidfd_open is missing on other systems and old kernels, and a container's seccomp filter may forbid it.
        with contextlib.suppress(AttributeError, OSError):
            pidfd = os.pidfd_open(pid)
            try:
                socket.send_fds(client, [PIDFD], [pidfd])
            finally:
                os.close(pidfd)
            return
        ours, theirs = socket.socketpair()
        with theirs:
            self._selector.register(ours, selectors.EVENT_READ, pid)
            socket.send_fds(client, [LEASH], [theirs.fileno()])

    def _on_leash_closed(self, key: selectors.SelectorKey) -> None:
        self._selector.unregister(key.fileobj)
        key.fileobj.close()  # type: ignore[union-attr]
        if key.data in self._children:
            os.kill(key.data, signal.SIGKILL)

    def _reap(self) -> None:
        for pid in list(self._children):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._children.discard(pid)


def _description(error: Exception) -> str:
    """Return the exception and the place that raised it, in one line without credentials."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return scrub(f"{type(error).__name__}: {error} ({where.filename}, line {where.lineno})")


def _acquire(lock: int) -> bool:
    """Acquire the lock until this process ends. Return False when another fork server holds it."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
