"""Sockets between a worker and its fork server. They have no name that another user could find.

Every process that a worker forks inherits both ends of the socket pair and the lock, so these processes share one fork
server. The fork server inherits the end that it reads from, and the lock. A response can be trusted because only
processes that inherited the sockets can send one.
"""

from __future__ import annotations

import contextlib
import fcntl
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

PIDFD, LEASH = b"p", b"l"
"""Descriptor in the response to a request: a pidfd of the new process, or a socket whose closing ends the process."""

REQUEST = b"+"
CLOSE_ON_EXEC: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
SEND_SECONDS = 5.0  # longest wait to send a request while a frozen fork server has not received earlier ones
_POLL_SECONDS = 0.1  # interval at which a process that waits for a response checks that a fork server still lives


class ProcessHandle:
    """Handle that kills one process, even if its process id has been reused: the kernel made it, not a message."""

    def __init__(self, kind: bytes, descriptor: int) -> None:
        self._is_pidfd = kind == PIDFD
        self._descriptor = descriptor

    def kill(self) -> None:
        """Kill the process and close the handle. With a leash, the fork server kills it, as its parent."""
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
    """Socket pair for requests for check processes, and the lock that a fork server holds while it lives."""

    def __init__(self) -> None:
        """Create the socket pair and the lock. Raise OSError if that fails."""
        self._requests, self._server_end = socket.socketpair()
        self._requests.settimeout(SEND_SECONDS)
        self._lock = _unnamed_file()

    def start_fork_server(self, target: str, names: Iterable[str]) -> subprocess.Popen[bytes]:
        """Start a fork server. It exits at once if another one holds the lock. Raise OSError if it cannot start."""
        if not sys.executable:
            raise OSError("the path of the Python interpreter is unknown (sys.executable is empty)")
        inherited = (self._server_end.fileno(), self._lock.fileno())
        command = [sys.executable, "-m", "monitor.executor.fork_server", *map(str, inherited), target, *names]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=inherited)  # noqa: S603

    def has_fork_server(self) -> bool:
        """Return whether a fork server lives, started by this process or by another one that shares these sockets."""
        try:
            # A shared lock, so that several processes can test at the same time.
            fcntl.lockf(self._lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.lockf(self._lock, fcntl.LOCK_UN)
        return False

    def request(
        self, seconds: float, fork_server: subprocess.Popen[bytes] | None
    ) -> tuple[socket.socket, ProcessHandle]:
        """Return the connection to a new check process, and the handle to kill it.

        ``fork_server`` is the process that this process has started, or None. Raise TimeoutError after ``seconds``,
        EOFError when there is no fork server or it cannot fork, and OSError when the socket fails.
        """
        deadline = time.monotonic() + seconds
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._requests, [REQUEST], [theirs.fileno()])
            while not _is_readable(ours, min(_POLL_SECONDS, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    raise TimeoutError
                if (fork_server is None or fork_server.poll() is not None) and not self.has_fork_server():
                    raise EOFError
            kind, descriptors, _, _ = socket.recv_fds(ours, 1, 1, CLOSE_ON_EXEC)
            if not descriptors:
                raise EOFError
            os.set_inheritable(descriptors[0], False)
        except BaseException:
            ours.close()
            raise
        return ours, ProcessHandle(kind, descriptors[0])

    def __del__(self) -> None:
        """Close this process's copies. The fork server ends once no process holds one."""
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
