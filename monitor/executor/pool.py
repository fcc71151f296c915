"""Pool of check processes in the worker: gives each run a process, and kills a process at the run's time limit."""

from __future__ import annotations

import contextlib
import os
import select
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
from monitor.executor.progress import OPTIONAL
from monitor.executor.sockets import ForkServerSockets, ProcessHandle
from monitor.model.checks import NO_PAST, Outcome, Past, Status
from monitor.ports.executor import ExecutorStarting, ExecutorUnavailable

PATIENCE_SECONDS = 10.0
"""Time after the start of a fork server for which a run waits for it. Afterwards a run is refused at once."""

IMPORT_SECONDS = 600.0
"""Default time limit for the imports of a fork server."""

OPTIONAL_SECONDS = 30.0
"""Time limit for the import of all optional modules."""

FORK_SECONDS = 5.0
"""Time limit for the response of a fork server that has done its imports. A fork takes milliseconds."""

POLL_SECONDS = 0.02
"""Interval at which a run that waits for a fork server reads its progress."""

BLOCKED_SECONDS = 2
"""Limit on a pause within a message: after this time without a byte, sending or receiving fails."""

MAX_RUNS = 1000
"""Number of runs after which a check process is replaced. This frees memory that a user's check has leaked."""

MAX_IDLE_SECONDS = 60.0
"""Time without a run after which a check process is ended."""


class ProcessExecutor:
    """Executor that runs each check in a check process. A check process does one run at a time.

    Several threads may use one executor. The process that has the executor may fork. The first run, or `start`, starts
    the fork server.

    ``target`` is the TARGET of the fork server (see `fork_server`). ``required`` and ``optional`` are the names that
    the fork server passes to ``prepare``: kinds, and modules of the project. If a fork server cannot prepare all of
    them, a second one is started with ``required`` only. ``import_seconds`` limits the time for these imports.
    """

    def __init__(
        self,
        target: str,
        required: Iterable[str] = (),
        optional: Iterable[str] = (),
        *,
        import_seconds: float = IMPORT_SECONDS,
    ) -> None:
        self._target = target
        self._import_seconds = import_seconds
        self._required = sorted(set(required))
        self._optional = sorted(set(optional))
        self._idle: deque[_CheckProcess] = deque()
        self._processes: set[_CheckProcess] = set()
        self._fork_server: subprocess.Popen[bytes] | None = None
        # Made before any fork, so that all forked processes share it.
        self._sockets: ForkServerSockets | None = ForkServerSockets()
        self._starting = threading.Lock()
        os.register_at_fork(after_in_child=self._drop_parents_processes)

    def start(self) -> None:
        """Start a check process, so that the first run does not wait for one.

        Raise ExecutorStarting if the imports take longer than ``PATIENCE_SECONDS``. They continue, and a later call
        succeeds. Raise ExecutorUnavailable on failure.
        """
        if not self._idle:
            self._release(self._acquire())

    def run(self, check: CheckSpec, past: Past = NO_PAST) -> tuple[Outcome, float]:
        """Run a check once. Return the outcome and the response time in milliseconds.

        After ``check.timeout_seconds`` the process is killed, even in a blocked call, in a C function that keeps the
        GIL, or in a loop that catches every exception. Then the outcome is the error ``timeout``. Raise
        ExecutorUnavailable, and no other exception, if no check process can be started.
        """
        process = self._acquire()
        started = time.perf_counter()
        try:
            response = process.run(check, past)
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
            outcome_and_time = decode_outcome(response)
        except (ValueError, TypeError, AttributeError):  # the check wrote to the descriptor of the connection
            self._end(process)
            outcome = Outcome(Status.ERROR, reason="bad_data", message="the check's process sent no valid outcome")
            return outcome, (time.perf_counter() - started) * 1000
        self._release(process)
        return outcome_and_time

    def close(self) -> None:
        """End every idle process and the fork server."""
        while self._idle:
            self._end(self._idle.pop())
        self._end_fork_server()
        self._forget_sockets()

    def startup_seconds(self) -> float | None:
        """Return the time since the start of a fork server that does its imports; None if there is no such one."""
        sockets = self._sockets
        if sockets is None or sockets.is_ready() or not self._is_alive(sockets):
            return None
        progress = sockets.progress()
        return None if progress is None else progress.seconds

    def _drop_parents_processes(self) -> None:
        """Drop the check processes of the parent. Called in each process that is forked from this one.

        The sockets stay shared, so the forked process sends its requests to the same fork server.
        """
        for process in list(self._processes):
            with contextlib.suppress(OSError):  # a thread of the parent was closing it during the fork
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
        with contextlib.suppress(OSError, EOFError, TimeoutError):  # a fork server that does not respond is replaced
            if self._is_ready():
                return self._request()
        with self._starting:
            return self._process_of_new_server()

    def _process_of_new_server(self) -> _CheckProcess:
        """Return a check process of a new fork server.

        If another thread or process has just started a fork server, return a check process of that fork server. Called
        by one thread at a time.
        """
        if self._is_ready():
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                return self._request()
            self._give_up_fork_server()  # it does not respond
        try:
            return self._first_process()
        except ExecutorStarting:
            raise
        except ExecutorUnavailable:
            if not self._optional:
                raise
            # A module of the project that hangs or crashes during its import must not stop the other checks.
            self._optional = []
            return self._first_process()

    def _first_process(self) -> _CheckProcess:
        """Return the first check process of a fork server, which is started if none is alive."""
        try:
            self._sockets = sockets = self._sockets or ForkServerSockets()
            if not self._is_alive(sockets):
                self._end_fork_server()
                self._fork_server = sockets.start_fork_server(self._target, self._required, self._optional)
            self._wait_until_ready(sockets)
            return self._request()
        except (OSError, EOFError, TimeoutError) as error:
            self._end_fork_server()
            self._forget_sockets()  # the request may be in them, and a later fork server must not receive it
            raise ExecutorUnavailable(f"no check process can be started: {error or 'the fork server ended'}") from None

    def _wait_until_ready(self, sockets: ForkServerSockets) -> None:
        """Wait until the fork server has done its imports. Raise ExecutorStarting ``PATIENCE_SECONDS`` after its start.

        Raise ExecutorUnavailable if the fork server has ended, or if its imports have taken longer than their limit.
        Then kill the fork server.
        """
        while not sockets.is_ready():
            progress = sockets.progress()
            if not self._is_alive(sockets):
                status = self._fork_server.poll() if self._fork_server is not None else None
                self._give_up_fork_server()
                raise ExecutorUnavailable(
                    f"the fork server exited with status {status}" if status else "the fork server ended"
                )
            if progress is not None and progress.phase == OPTIONAL and progress.phase_seconds > OPTIONAL_SECONDS:
                self._give_up_fork_server()
                raise ExecutorUnavailable(f"the modules of the checks are not imported after {OPTIONAL_SECONDS:g} s")
            seconds = 0.0 if progress is None else progress.seconds
            if seconds > self._import_seconds:
                self._give_up_fork_server()
                raise ExecutorUnavailable(
                    f"the project is not imported after {self._import_seconds:g} s, the setting import_limit"
                )
            if seconds > PATIENCE_SECONDS:
                raise ExecutorStarting(seconds)
            # Under libfaketime, with which clocks are tested, `time.sleep` fails.
            select.select((), (), (), POLL_SECONDS)

    def _is_ready(self) -> bool:
        sockets = self._sockets
        return sockets is not None and sockets.is_ready()

    def _is_alive(self, sockets: ForkServerSockets) -> bool:
        """Return whether a fork server is alive, also one that has not acquired the lock yet."""
        return sockets.has_fork_server() or (self._fork_server is not None and self._fork_server.poll() is None)

    def _request(self) -> _CheckProcess:
        if self._sockets is None:  # closed by another thread
            raise EOFError
        process = _CheckProcess(*self._sockets.request(FORK_SECONDS, self._fork_server))
        self._processes.add(process)
        return process

    def _give_up_fork_server(self) -> None:
        """Kill a fork server that does not respond.

        A fork server that another process has started cannot be killed here. It keeps the sockets.
        """
        self._end_fork_server()
        if self._sockets is not None and self._sockets.has_fork_server():
            self._forget_sockets()

    def _end_fork_server(self) -> None:
        fork_server, self._fork_server = self._fork_server, None
        if fork_server is not None:
            fork_server.kill()  # not terminate(): it needs no clean-up, and may be frozen
            fork_server.wait()

    def _forget_sockets(self) -> None:
        # Not closed here, because another thread may wait for a response. `ForkServerSockets.__del__` closes them.
        self._sockets = None


class _CheckProcess:
    """Client of one check process."""

    def __init__(self, connection: socket.socket, handle: ProcessHandle) -> None:
        # A message with a memory can be larger than the socket's buffer. Without these limits, a check process that
        # freezes within a message would block the worker's thread for ever.
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", BLOCKED_SECONDS, 0))
        self._connection = Connection(connection.detach())
        self._handle = handle
        self.runs = 0
        self.idle_since = 0.0

    def run(self, check: CheckSpec, past: Past) -> bytes:
        """Run a check in the process and return the encoded outcome.

        Raise TimeoutError after the check's time limit, and EOFError or OSError if the process ends before.
        """
        self.runs += 1
        self._connection.send_bytes(encode_request(check, past))
        if not self._connection.poll(check.timeout_seconds):
            raise TimeoutError
        return self._connection.recv_bytes()

    def is_alive(self) -> bool:
        """Return whether an idle process is alive.

        An idle process sends nothing. So if the connection is readable, the process has closed it.
        """
        try:
            return not self._connection.poll()
        except OSError:
            return False

    def end(self) -> None:
        """Kill the process. Do not wait for its end: an uninterruptible system call can delay the end for minutes."""
        self._handle.kill()
        self._connection.close()

    def close(self) -> None:
        """Close the descriptors in this process without killing the check process, which the parent still uses."""
        self._handle.close()
        self._connection.close()
