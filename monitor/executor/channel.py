"""The sockets over which a worker and its zygote reach each other. They have no name that another user could find.

Both ends of the socket pair and the lock are inherited by every process that a worker forks, so that they share one
zygote; the zygote inherits the end it reads from, and the lock. What proves who answers is the inheritance.
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
"""What comes with the reply to a request: a pidfd of the new process, or a socket whose closing ends the process."""

REQUEST = b"+"
CLOSE_ON_EXEC: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
SEND_SECONDS = 5.0  # how long a request may wait behind those that a frozen zygote has not taken
_LOOK_SECONDS = 0.1  # how often a process that waits for a zygote looks whether there is one still


class ProcessHandle:
    """The means to kill one process, whatever has become of its process id: made by the kernel, not by a message."""

    def __init__(self, kind: bytes, descriptor: int) -> None:
        self._is_pidfd = kind == PIDFD
        self._descriptor = descriptor

    def kill(self) -> None:
        """Kill the process and close the handle. With a leash, the zygote kills it, as its parent."""
        if self._descriptor >= 0 and self._is_pidfd:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Close this process' copy of the handle."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class ForkServerChannel:
    """A socket pair to request check processes through, and the lock that a zygote holds while it lives."""

    def __init__(self) -> None:
        """Make both. Raises OSError."""
        self._requests, self._zygotes_end = socket.socketpair()
        self._requests.settimeout(SEND_SECONDS)
        self._lock = _unnamed_file()

    def start_zygote(self, target: str, names: Iterable[str]) -> subprocess.Popen[bytes]:
        """Start a process that answers requests; it exits at once when another one does so. Raises OSError."""
        if not sys.executable:
            raise OSError("this Python does not know its own program (sys.executable)")
        inherited = (self._zygotes_end.fileno(), self._lock.fileno())
        command = [sys.executable, "-m", "monitor.executor.fork_server", *map(str, inherited), target, *names]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=inherited)  # noqa: S603

    def has_zygote(self) -> bool:
        """Whether a zygote lives, started by this process or by another one that shares the channel."""
        try:
            # Shared: processes that look at the same time are not in one another's way.
            fcntl.lockf(self._lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.lockf(self._lock, fcntl.LOCK_UN)
        return False

    def request(self, seconds: float, zygote: subprocess.Popen[bytes] | None) -> tuple[socket.socket, ProcessHandle]:
        """The connection to a new check process, and the handle to kill it.

        ``zygote`` is the one that this process has started, if it has. Raises TimeoutError, EOFError when there is
        no zygote or it cannot fork, OSError.
        """
        deadline = time.monotonic() + seconds
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._requests, [REQUEST], [theirs.fileno()])
            while not _is_readable(ours, min(_LOOK_SECONDS, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    raise TimeoutError
                if (zygote is None or zygote.poll() is not None) and not self.has_zygote():
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
        """Close this process' copies. The zygote ends once nobody has one any more."""
        for name in ("_requests", "_zygotes_end", "_lock"):
            if hasattr(self, name):  # not all of them, when making it failed half-way
                getattr(self, name).close()


def _unnamed_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("celery-health-monitor"), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _is_readable(connection: socket.socket, seconds: float) -> bool:
    poll = select.poll()  # not select(2): a descriptor may be above 1023
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
