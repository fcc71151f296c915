"""Fork server: the process that imports everything once and forks check processes in milliseconds.

The command line is ``python -m monitor.executor.fork_server SOCKET LOCK TARGET [NAME...] optional [NAME...]``. SOCKET
and LOCK are descriptors that the fork server inherits (see `sockets`). TARGET is a module with ``prepare(names)`` and
``run(kind, options, timeout_seconds, past)``. The fork server calls ``prepare`` for the required names, and then for
the optional names. It writes its progress into LOCK (see `progress`). For each request that arrives on SOCKET, the fork
server forks a check process.

A fork server exits at once if another fork server holds LOCK. So several processes may start one at the same time.

When all processes that could send a request have ended, the fork server kills its check processes and ends. So a
killed worker leaves no process behind.
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

from monitor.executor import progress
from monitor.executor.sockets import CLOSE_ON_EXEC, LEASH, PIDFD
from monitor.lib.redaction import scrub

# Time limit for acquiring the lock. `ForkServerSockets.has_fork_server` in another process may hold it for a moment.
LOCK_SECONDS = 1.0

logger = logging.getLogger(__name__)


def main(requests: int, lock: int, target: str, names: list[str]) -> int:
    """Fork check processes until no client is left, and return the exit status.

    The status is 0 at the end, and if another fork server holds the lock. It is 1 if ``prepare`` of the target fails.
    """
    # Ctrl-C sends SIGINT to every process of the group. Only the worker reacts, and ends the fork server.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for inherited in (requests, lock):
        os.set_inheritable(inherited, False)  # a program that a check starts must not hold these open
    if not _acquire(lock):
        return 0
    started_at = time.monotonic()
    progress.write(lock, progress.IMPORTING, started_at)
    module: Any = importlib.import_module(target)
    separator = names.index(progress.OPTIONAL)
    try:
        module.prepare(names[:separator])
        if optional := names[separator + 1 :]:
            progress.write(lock, progress.OPTIONAL, started_at)
            module.prepare(optional)
    except Exception as error:  # noqa: BLE001 - `prepare` imports a project's code, which may raise anything
        logger.error("no check process can be started: %s", _description(error))
        return 1
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # the id of a child is not reused until this process reaps it
    gc.collect()
    gc.freeze()  # the collector no longer touches existing objects, so their memory stays shared with the children
    fcntl.lockf(lock, fcntl.LOCK_EX, 1, progress.READY)  # waits for a process that tests the lock at this moment
    with socket.socket(fileno=requests) as client:
        _ForkServer(client, module).serve()
    return 0


class _ForkServer:
    """Loop that forks check processes and reaps them.

    If the system has no pidfds, a client gets a leash instead: one end of a socket pair. When the client closes the
    leash, the fork server kills the client's check process.
    """

    def __init__(self, requests: socket.socket, module: Any) -> None:
        self._requests = requests
        self._module = module
        self._children: set[int] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)

    def serve(self) -> None:
        """Fork a check process for each request until no process can send one; then kill all check processes."""
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
        """Receive one request and fork a check process for it. Return False when no client is left."""
        data, descriptors, _, _ = socket.recv_fds(self._requests, 1, 1, CLOSE_ON_EXEC)
        for descriptor in descriptors:
            with socket.socket(fileno=descriptor) as client:
                client.set_inheritable(False)
                try:
                    self._send_handle(client, self._fork(client))
                except ConnectionError:  # the client no longer waits; the new process ends at the closed connection
                    pass
                except OSError as error:  # too many processes or descriptors; the client reads a closed connection
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
            os._exit(status)  # the child must neither return to the fork server's loop nor run its exit handlers

    def _send_handle(self, client: socket.socket, pid: int) -> None:
        """Send the client a pidfd of the process, or else a leash.

        The process is a child that is not reaped yet, so the id ``pid`` cannot belong to another process.
        """
        # macOS and old kernels have no pidfd_open, and the seccomp filter of a container may forbid it.
        with contextlib.suppress(AttributeError, OSError):
            pidfd = os.pidfd_open(pid)
            try:
                socket.send_fds(client, [PIDFD], [pidfd])
            finally:
                os.close(pidfd)
            return
        own_end, client_end = socket.socketpair()
        with client_end:
            self._selector.register(own_end, selectors.EVENT_READ, pid)
            socket.send_fds(client, [LEASH], [client_end.fileno()])

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
    """Return the exception and the file and line that raised it, without credentials."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return scrub(f"{type(error).__name__}: {error} ({frame.filename}, line {frame.lineno})")


def _acquire(lock: int) -> bool:
    """Acquire the lock until this process ends. Return False when another fork server holds it."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, progress.ALIVE)
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
