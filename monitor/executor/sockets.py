"""Socket pair and lock between a worker and its fork server. Neither has a name, so no other user can open it.

The fork server inherits one end of the socket pair, from which it reads requests, and the lock. Every process that the
worker forks inherits both ends and the lock, so all these processes share one fork server. A response can be trusted,
because only processes that inherited the socket pair can send one.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from typing import IO

from monitor.executor import progress
from monitor.executor.progress import Progress

PIDFD, LEASH = b"p", b"l"
"""Kinds of the descriptor in a response.

PIDFD is a pidfd of the new check process. LEASH is a socket: when it is closed, the fork server kills the process.
"""

REQUEST = b"+"
CLOSE_ON_EXEC: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
SEND_SECONDS = 5.0  # time limit for sending a request; a frozen fork server receives none, and the buffer can be full
_POLL_SECONDS = 0.1  # while a process waits for a response, it checks at this interval that a fork server is alive


class ProcessHandle:
    """Handle to kill one check process: a pidfd or a leash. Unlike a process id, it never refers to a later process."""

    def __init__(self, kind: bytes, descriptor: int) -> None:
        self._is_pidfd = kind == PIDFD
        self._descriptor = descriptor

    def kill(self) -> None:
        """Kill the process and close the handle. If the handle is a leash, closing it makes the fork server kill it."""
        if self._descriptor >= 0 and self._is_pidfd:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Close this process's copy of the handle."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class ForkServerSockets:
    """Socket pair for requests, and the lock that a fork server holds as long as it lives."""

    def __init__(self) -> None:
        """Create the socket pair and the lock. Raise OSError if that fails."""
        self._requests, self._server_end = socket.socketpair()
        self._requests.settimeout(SEND_SECONDS)
        self._lock = _unnamed_file()

    def start_fork_server(
        self, target: str, required: Iterable[str], optional: Iterable[str]
    ) -> subprocess.Popen[bytes]:
        """Start a fork server, which exits at once if another one holds the lock. Raise OSError on failure."""
        if not sys.executable:
            raise OSError("the path of the Python interpreter is unknown (sys.executable is empty)")
        inherited = (self._server_end.fileno(), self._lock.fileno())
        progress.write(self._lock.fileno(), progress.IMPORTING)
        command = [sys.executable, "-m", "monitor.executor.fork_server", *map(str, inherited), target]
        command += [*required, progress.OPTIONAL, *optional]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=inherited)  # noqa: S603

    def progress(self) -> Progress | None:
        """Return the progress of the last start of a fork server; None if there was none."""
        return progress.read(self._lock.fileno())

    def has_fork_server(self) -> bool:
        """Return whether a fork server is alive, no matter which of the processes with these sockets started it."""
        return progress.is_locked(self._lock.fileno(), progress.ALIVE)

    def is_ready(self) -> bool:
        """Return whether a fork server is alive that has done its imports."""
        return progress.is_locked(self._lock.fileno(), progress.READY)

    def request(
        self, seconds: float, fork_server: subprocess.Popen[bytes] | None
    ) -> tuple[socket.socket, ProcessHandle]:
        """Request a check process. Return the connection to it and the handle to kill it.

        ``fork_server`` is the fork server that this process has started, or None if another process has started it.
        Raise TimeoutError after ``seconds``. Raise EOFError if there is no fork server or it cannot fork. Raise OSError
        if the socket fails.
        """
        deadline = time.monotonic() + seconds
        own_end, process_end = socket.socketpair()
        try:
            with process_end:
                socket.send_fds(self._requests, [REQUEST], [process_end.fileno()])
            while not _is_readable(own_end, min(_POLL_SECONDS, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    raise TimeoutError
                if (fork_server is None or fork_server.poll() is not None) and not self.has_fork_server():
                    raise EOFError
            kind, descriptors, _, _ = socket.recv_fds(own_end, 1, 1, CLOSE_ON_EXEC)
            if not descriptors:
                raise EOFError
            os.set_inheritable(descriptors[0], False)
        except BaseException:
            own_end.close()
            raise
        return own_end, ProcessHandle(kind, descriptors[0])

    def __del__(self) -> None:
        """Close the descriptors in this process. The fork server ends when all processes have closed them."""
        for name in ("_requests", "_server_end", "_lock"):
            if hasattr(self, name):  # some are missing if __init__ failed
                getattr(self, name).close()


def _unnamed_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("celery-health-monitor"), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _is_readable(connection: socket.socket, seconds: float) -> bool:
    poll = select.poll()  # not select(2): a descriptor may be above 1023
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
