"""Pool of check processes in the worker: assigns them to runs, measures time, and kills those that are late."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterable
from multiprocessing.connection import Connection

from monitor.config import CheckSpec
from monitor.executor.messages import decode_outcome, encode_request
from monitor.executor.sockets import ForkServerSockets, ProcessHandle
from monitor.model.checks import NO_PAST, Outcome, Past, Status
from monitor.ports.executor import ExecutorUnavailable

START_SECONDS = 30.0  # longest start of a fork server, which imports Django and every kind; slow on a busy machine
FORK_SECONDS = 5.0  # longest response time of a fork server that has responded before; it forks in milliseconds
BLOCKED_SECONDS = 2  # longest time in which a check process may send or receive nothing within a message
MAX_RUNS = 1000  # runs after which a process is replaced, which releases all that a user's function has leaked
MAX_IDLE_SECONDS = 60.0


class ProcessExecutor:
    """Executor that runs each check in a process, one process for each run at the same time.

    It may be used from several threads, and the process that holds it may fork.

    ``target`` is the module that the processes run (see `fork_server`). The fork server first imports ``needed``, names
    of kinds, and ``wanted``, names of the users' modules. After a start with ``wanted`` has failed, only ``needed`` is
    imported. Nothing is started before the first use.
    """

    def __init__(self, target: str, needed: Iterable[str] = (), wanted: Iterable[str] = ()) -> None:
        self._target = target
        self._needed = sorted(set(needed))
        self._wanted = sorted(set(wanted))
        self._idle: deque[_CheckProcess] = deque()
        self._processes: set[_CheckProcess] = set()
        self._fork_server: subprocess.Popen[bytes] | None = None
        self._sockets: ForkServerSockets | None = ForkServerSockets()  # made before any fork: all processes share it
        self._has_responded = False
        self._starting = threading.Lock()
        os.register_at_fork(after_in_child=self._reset)

    def start(self) -> None:
        """Start one process, so that the first check does not wait for it. Raise ExecutorUnavailable if it fails."""
        if not self._idle:
            self._release(self._acquire())

    def run(self, check: CheckSpec, past: Past = NO_PAST) -> tuple[Outcome, float]:
        """Run a check once. Return the outcome and the response time in milliseconds.

        After ``check.timeout_seconds`` the process is killed, even in a blocked call, in a C function that keeps the
        GIL, or in a loop that catches every exception. Raise ExecutorUnavailable, and no other exception, if there is
        no process to run it.
        """
        process = self._acquire()
        started = time.perf_counter()
        try:
            reply = process.run(check, past)
        except TimeoutError:
            self._end(process)
            outcome = Outcome(
                Status.ERROR, reason="timeout", message=f"not finished after {check.timeout_seconds:g} s, killed"
            )
            return outcome, check.timeout_seconds * 1000
        except (EOFError, OSError):
            self._end(process)
            outcome = Outcome(Status.ERROR, reason="crashed", message="the check's process ended without an outcome")
            return outcome, (time.perf_counter() - started) * 1000
        try:
            result = decode_outcome(reply)
        except (ValueError, TypeError, AttributeError):  # the check wrote to the descriptor of the connection
            self._end(process)
            outcome = Outcome(Status.ERROR, reason="bad_data", message="the check's process sent no valid outcome")
            return outcome, (time.perf_counter() - started) * 1000
        self._release(process)
        return result

    def close(self) -> None:
        """End every idle process and the fork server."""
        while self._idle:
            self._end(self._idle.pop())
        self._end_fork_server()
        self._drop_sockets()

    def _reset(self) -> None:
        """Forget the parent's check processes and its fork server process, in a process that was just forked.

        The sockets stay shared, so this process sends its requests to the same fork server.
        """
        for process in list(self._processes):
            with contextlib.suppress(OSError):  # another thread of the parent was closing it during the fork
                process.close()
        self._idle.clear()
        self._processes.clear()
        self._fork_server = None
        self._starting = threading.Lock()

    def _acquire(self) -> _CheckProcess:
        while True:
            try:
                process = self._idle.pop()
            except IndexError:
                return self._new_process()
            if process.is_alive():
                return process
            self._end(process)

    def _release(self, process: _CheckProcess) -> None:
        if process.runs >= MAX_RUNS:
            self._end(process)
            return
        process.idle_since = time.monotonic()
        self._idle.append(process)
        with contextlib.suppress(IndexError):
            if time.monotonic() - self._idle[0].idle_since > MAX_IDLE_SECONDS:
                self._end(self._idle.popleft())

    def _end(self, process: _CheckProcess) -> None:
        process.end()
        self._processes.discard(process)

    def _new_process(self) -> _CheckProcess:
        sockets = self._sockets
        if sockets is not None and self._has_responded and sockets.has_fork_server():
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                return self._request(sockets, FORK_SECONDS)
        with self._starting:
            return self._process_of_new_server()

    def _process_of_new_server(self) -> _CheckProcess:
        """Return a process of a new fork server, or of one that another thread or process has just started.

        Called by one thread at a time.
        """
        if self._sockets is not None and self._sockets.has_fork_server():
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                return self._request(self._sockets, FORK_SECONDS if self._has_responded else START_SECONDS)
            self._end_fork_server()  # it is frozen: it does not respond
            if self._sockets.has_fork_server():  # another process has started it and may wait longer for it
                self._drop_sockets()
        try:
            return self._launch([*self._needed, *self._wanted])
        except ExecutorUnavailable:
            if not self._wanted:
                raise
            # A user's module that hangs or crashes during its import must not stop the other checks.
            self._wanted = []
            return self._launch(self._needed)

    def _launch(self, names: list[str]) -> _CheckProcess:
        self._end_fork_server()
        try:
            self._sockets = sockets = self._sockets or ForkServerSockets()
            self._fork_server = sockets.start_fork_server(self._target, names)
            return self._request(sockets, START_SECONDS)
        except (OSError, EOFError, TimeoutError) as error:
            status = self._fork_server.poll() if self._fork_server is not None else None
            self._end_fork_server()
            self._drop_sockets()  # drops the request, which no fork server has received
            if status:
                raise ExecutorUnavailable(f"the fork server exited with status {status}") from None
            if isinstance(error, TimeoutError):
                raise ExecutorUnavailable(f"no check process within {START_SECONDS:g} s") from None
            raise ExecutorUnavailable(f"no check process can be started: {error or 'the fork server ended'}") from None

    def _request(self, sockets: ForkServerSockets, seconds: float) -> _CheckProcess:
        process = _CheckProcess(*sockets.request(seconds, self._fork_server))
        self._processes.add(process)
        self._has_responded = True
        return process

    def _end_fork_server(self) -> None:
        fork_server, self._fork_server = self._fork_server, None
        if fork_server is not None:
            fork_server.kill()  # it needs no clean-up, and may be frozen
            fork_server.wait()

    def _drop_sockets(self) -> None:
        # Not closed here: another thread may wait for a response on it. It is closed with the last reference.
        self._sockets, self._has_responded = None, False


class _CheckProcess:
    """Client of one check process."""

    def __init__(self, connection: socket.socket, handle: ProcessHandle) -> None:
        # A memory can be larger than the socket's buffer. Without these limits, a process that freezes within a message
        # would block its client for ever.
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", BLOCKED_SECONDS, 0))
        self._connection = Connection(connection.detach())
        self._handle = handle
        self.runs = 0
        self.idle_since = 0.0

    def run(self, check: CheckSpec, past: Past) -> bytes:
        """Request a run of a check and return the encoded outcome.

        Raise TimeoutError after the check's time limit, and EOFError or OSError when the process ends.
        """
        self.runs += 1
        self._connection.send_bytes(encode_request(check, past))
        if not self._connection.poll(check.timeout_seconds):
            raise TimeoutError
        return self._connection.recv_bytes()

    def is_alive(self) -> bool:
        """Return whether an idle process lives. It sends nothing, so a readable connection has been closed."""
        try:
            return not self._connection.poll()
        except OSError:
            return False

    def end(self) -> None:
        """Kill the process. Do not wait for its end, which an uninterruptible system call can delay for long."""
        self._handle.kill()
        self._connection.close()

    def close(self) -> None:
        """Close this process's copies of the descriptors, and leave the check process to the parent."""
        self._handle.close()
        self._connection.close()
