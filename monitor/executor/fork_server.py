"""The process that check processes are forked from: imports once, forks in milliseconds.

``python -m monitor.executor.fork_server SOCKET LOCK TARGET [KIND...]`` reads requests from the socket whose descriptor
it has inherited (see `channel`) and forks a check process for each. TARGET is a module with ``prepare(kinds)`` and
``run(kind, options, timeout_seconds, past)``. A zygote that finds the lock taken by another one leaves at once, so
several starters need no agreement. It ends, and its check processes with it, when every process that could send a
request has ended: a killed worker leaves nothing behind.
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

from monitor.executor.channel import CLOSE_ON_EXEC, LEASH, PIDFD
from monitor.lib.redaction import scrub

LOCK_SECONDS = 1.0  # longer than anybody who only looks holds the lock

logger = logging.getLogger(__name__)


def main(requests: int, lock: int, target: str, kinds: list[str]) -> int:
    """Serve until no client is left. Exit status 0, also when another zygote serves already; 1 when it cannot serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the worker decides
    for inherited in (requests, lock):
        os.set_inheritable(inherited, False)  # a program that a check starts must not keep the worker's zygote alive
    if not _take(lock):
        return 0
    module: Any = importlib.import_module(target)
    try:
        module.prepare(kinds)
    except Exception as error:  # noqa: BLE001 - a project's settings and applications are imported there
        logger.error("no check process can be started: %s", _in_words(error))
        return 1
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a child's id stays its own until we reap it
    gc.collect()
    gc.freeze()  # what is here already is not looked at again, and so stays shared with every child
    with socket.socket(fileno=requests) as client:
        _Zygote(client, module).serve()
    return 0


class _Zygote:
    """Forks check processes, reaps them, and kills those whose client has let go of the leash."""

    def __init__(self, requests: socket.socket, module: Any) -> None:
        self._requests = requests
        self._module = module
        self._children: set[int] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer requests until nobody can send any; then kill what still runs, for nobody waits for it."""
        while True:
            for key, _ in self._selector.select(timeout=1.0):
                if key.fileobj is not self._requests:
                    self._let_go(key)
                elif not self._answer():
                    for pid in self._children:
                        os.kill(pid, signal.SIGKILL)
                    return
            self._reap()

    def _answer(self) -> bool:
        """Fork a process for one request; False when no client is left."""
        data, descriptors, _, _ = socket.recv_fds(self._requests, 1, 1, CLOSE_ON_EXEC)
        for descriptor in descriptors:
            with socket.socket(fileno=descriptor) as client:
                client.set_inheritable(False)
                try:
                    self._hand_over(client, self._fork(client))
                except ConnectionError:  # the client has given up, and so does the process
                    pass
                except OSError as error:  # of processes or descriptors: the client finds its connection closed
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
                key.fileobj.close()  # type: ignore[union-attr]  # sockets, all of them
            self._selector.close()
            serve(Connection(client.detach()), self._module.run)
            status = 0
        finally:
            os._exit(status)  # never return into the zygote's loop, nor run its exit handlers

    def _hand_over(self, client: socket.socket, pid: int) -> None:
        """Give the client the means to kill the process. It is our child and not reaped: the id is still its own."""
        with contextlib.suppress(AttributeError, OSError):  # another system, an old kernel, a container's filter
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

    def _let_go(self, key: selectors.SelectorKey) -> None:
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


def _in_words(error: Exception) -> str:
    """Return what was raised and where, in one line."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return scrub(f"{type(error).__name__}: {error} ({where.filename}, line {where.lineno})")


def _take(lock: int) -> bool:
    """Take the lock for the rest of this process' life; False when another zygote has it."""
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
