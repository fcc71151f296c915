"""The worker's side of the check processes: lends them out, holds the clock, ends those that are late."""

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
from monitor.executor.channel import ForkServerChannel, ProcessHandle
from monitor.executor.messages import decode_outcome, encode_request
from monitor.model.checks import NO_PAST, Outcome, Past, Status
from monitor.ports.executor import ExecutorUnavailable

START_SECONDS = 30.0  # a zygote imports Django and every kind; on a busy machine that takes a while
FORK_SECONDS = 5.0  # a zygote that has answered before forks in milliseconds
BLOCKED_SECONDS = 2  # how long a process may leave a message half taken, or half said
MAX_RUNS = 1000  # what a user's function leaks goes with its process
MAX_IDLE_SECONDS = 60.0


class ProcessExecutor:
    """Runs checks in processes of their own, as many as run at the same time. Thread-safe, and safe to fork with.

    ``target`` is the module that the processes run (see `zygote`), ``needed`` and ``wanted`` name what it should
    import beforehand; what is only wanted is left out once a zygote has not come up with it. Nothing is started
    before the first use.
    """

    def __init__(self, target: str, needed: Iterable[str] = (), wanted: Iterable[str] = ()) -> None:
        self._target = target
        self._needed = sorted(set(needed))
        self._wanted = sorted(set(wanted))
        self._idle: deque[_CheckProcess] = deque()
        self._processes: set[_CheckProcess] = set()
        self._zygote: subprocess.Popen[bytes] | None = None
        self._channel: ForkServerChannel | None = ForkServerChannel()  # before any fork, so that all share it
        self._answered = False
        self._starting = threading.Lock()
        os.register_at_fork(after_in_child=self._reset)

    def start(self) -> None:
        """Have one process ready, so that the first check does not wait for it. Raises ExecutorUnavailable."""
        if not self._idle:
            self._give_back(self._borrow())

    def run(self, check: CheckSpec, past: Past = NO_PAST) -> tuple[Outcome, float]:
        """The outcome and the response time in milliseconds. Raises ExecutorUnavailable only.

        After ``check.timeout_seconds`` the process is killed, whatever holds it: a blocked call, a C
        function that keeps the GIL, a loop that catches every exception.
        """
        process = self._borrow()
        started = time.perf_counter()
        try:
            reply = process.ask(check, past)
        except TimeoutError:
            self._end(process)
            outcome = Outcome(
                Status.ERROR, reason="timeout", message=f"not done after {check.timeout_seconds:g} s, and ended"
            )
            return outcome, check.timeout_seconds * 1000
        except (EOFError, OSError):
            self._end(process)
            outcome = Outcome(Status.ERROR, reason="crashed", message="the check's process died")
            return outcome, (time.perf_counter() - started) * 1000
        try:
            answer = decode_outcome(reply)
        except (ValueError, TypeError, AttributeError):  # a check wrote to a descriptor that is not its own
            self._end(process)
            outcome = Outcome(Status.ERROR, reason="bad_data", message="the check's process sent no outcome")
            return outcome, (time.perf_counter() - started) * 1000
        self._give_back(process)
        return answer

    def close(self) -> None:
        """Let every idle process go, and the zygote with them."""
        while self._idle:
            self._end(self._idle.pop())
        self._end_zygote()
        self._leave_channel()

    def _reset(self) -> None:
        """After a fork: the connections are the parent's, and so is the zygote as a child process.

        The channel is shared, and with it the zygote.
        """
        for process in list(self._processes):
            with contextlib.suppress(OSError):  # another thread of the parent was just closing it
                process.close()
        self._idle.clear()
        self._processes.clear()
        self._zygote = None
        self._starting = threading.Lock()

    def _borrow(self) -> _CheckProcess:
        while True:
            try:
                process = self._idle.pop()
            except IndexError:
                return self._new_process()
            if process.is_alive():
                return process
            self._end(process)

    def _give_back(self, process: _CheckProcess) -> None:
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
        channel = self._channel
        if channel is not None and self._answered and channel.has_zygote():
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                return self._request(channel, FORK_SECONDS)
        with self._starting:
            return self._start_zygote()

    def _start_zygote(self) -> _CheckProcess:
        """A process of a new zygote, unless another thread or process has just started one. One thread at a time."""
        if self._channel is not None and self._channel.has_zygote():
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                return self._request(self._channel, FORK_SECONDS if self._answered else START_SECONDS)
            self._end_zygote()  # it does not answer: frozen
            if self._channel.has_zygote():  # started by another process, which may have more patience
                self._leave_channel()
        try:
            return self._launch([*self._needed, *self._wanted])
        except ExecutorUnavailable:
            if not self._wanted:
                raise
            # A user's module that hangs or crashes while it is imported must not stop the checks of others.
            self._wanted = []
            return self._launch(self._needed)

    def _launch(self, names: list[str]) -> _CheckProcess:
        self._end_zygote()
        try:
            self._channel = channel = self._channel or ForkServerChannel()
            self._zygote = channel.start_zygote(self._target, names)
            return self._request(channel, START_SECONDS)
        except (OSError, EOFError, TimeoutError) as error:
            status = self._zygote.poll() if self._zygote is not None else None
            self._end_zygote()
            self._leave_channel()  # and with it the request that nobody has taken
            if status:
                raise ExecutorUnavailable(f"the zygote exited with status {status}") from None
            if isinstance(error, TimeoutError):
                raise ExecutorUnavailable(f"no check process within {START_SECONDS:g} s") from None
            raise ExecutorUnavailable(f"no check process can be started: {error or 'the zygote is gone'}") from None

    def _request(self, channel: ForkServerChannel, seconds: float) -> _CheckProcess:
        process = _CheckProcess(*channel.request(seconds, self._zygote))
        self._processes.add(process)
        self._answered = True
        return process

    def _end_zygote(self) -> None:
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            zygote.kill()  # it has nothing to tidy up, and may be frozen
            zygote.wait()

    def _leave_channel(self) -> None:
        # Not closed here: another thread may wait for an answer on it, and closes it with the last reference.
        self._channel, self._answered = None, False


class _CheckProcess:
    """One check process, as its client sees it."""

    def __init__(self, connection: socket.socket, handle: ProcessHandle) -> None:
        # A memory does not fit into the socket's buffer: a process that is frozen would never take the rest of
        # it, nor give it.
        for blocked in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            connection.setsockopt(socket.SOL_SOCKET, blocked, struct.pack("ll", BLOCKED_SECONDS, 0))
        self._connection = Connection(connection.detach())
        self._handle = handle
        self.runs = 0
        self.idle_since = 0.0

    def ask(self, check: CheckSpec, past: Past) -> bytes:
        """The reply to a request to run a check. Raises TimeoutError, or EOFError or OSError when the process dies."""
        self.runs += 1
        self._connection.send_bytes(encode_request(check, past))
        if not self._connection.poll(check.timeout_seconds):
            raise TimeoutError
        return self._connection.recv_bytes()

    def is_alive(self) -> bool:
        """An idle process has nothing to say: if there is something to read, it is the end of the connection."""
        try:
            return not self._connection.poll()
        except OSError:
            return False

    def end(self) -> None:
        """Kill it and let go. Does not wait: a process in an uninterruptible call would make us wait with it."""
        self._handle.kill()
        self._connection.close()

    def close(self) -> None:
        """Close this process' copies of the descriptors, and leave the check process to the parent."""
        self._handle.close()
        self._connection.close()
