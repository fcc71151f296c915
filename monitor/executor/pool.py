"""The worker's side of the check processes: lends them out, holds the clock, ends those that are late."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from multiprocessing.connection import Connection

from monitor.config import CheckSpec
from monitor.executor.address import new_address, socket_address
from monitor.executor.messages import decode_outcome, encode_request
from monitor.model import NO_PAST, Outcome, Past, Status
from monitor.ports import ExecutorUnavailable

START_SECONDS = 30.0  # a zygote imports Django and every kind; on a busy machine that takes a while
HELLO_SECONDS = 5.0
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
        self._address = new_address()
        self._zygote: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._reset()
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
            process.end()
            outcome = Outcome(
                Status.ERROR, reason="timeout", message=f"not done after {check.timeout_seconds:g} s, and ended"
            )
            return outcome, check.timeout_seconds * 1000
        except (EOFError, OSError):
            process.end()
            outcome = Outcome(Status.ERROR, reason="crashed", message="the check's process died")
            return outcome, (time.perf_counter() - started) * 1000
        self._give_back(process)
        return decode_outcome(reply)

    def close(self) -> None:
        """Let every idle process go, and the zygote with them."""
        while self._idle:
            self._idle.pop().end()
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            zygote.terminate()
            zygote.wait()

    def _reset(self) -> None:
        # After a fork the connections are the parent's, and so is the zygote as a child process.
        self._idle: deque[_CheckProcess] = deque()
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
            process.end()

    def _give_back(self, process: _CheckProcess) -> None:
        if process.runs >= MAX_RUNS:
            process.end()
            return
        process.idle_since = time.monotonic()
        self._idle.append(process)
        with contextlib.suppress(IndexError):
            if time.monotonic() - self._idle[0].idle_since > MAX_IDLE_SECONDS:
                self._idle.popleft().end()

    def _new_process(self) -> _CheckProcess:
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            return _CheckProcess(self._address, HELLO_SECONDS)
        with self._starting:
            return self._start_zygote()

    def _start_zygote(self) -> _CheckProcess:
        """Start a zygote, unless another thread has just done so, and be its client. Only one thread is in here."""
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            return _CheckProcess(self._address, HELLO_SECONDS)
        try:
            return self._launch([*self._needed, *self._wanted])
        except ExecutorUnavailable:
            if not self._wanted:
                raise
            # A user's module that hangs or crashes while it is imported must not stop the checks of others.
            self._wanted = []
            return self._launch(self._needed)

    def _launch(self, names: list[str]) -> _CheckProcess:
        if self._zygote is not None:
            self._zygote.kill()  # it does not answer: frozen, or dead already
            self._zygote.wait()
            self._address = new_address()
        command = [sys.executable, "-m", "monitor.executor.zygote", self._address, self._target, *names]
        self._zygote = zygote = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                return _CheckProcess(self._address, deadline - time.monotonic())
            except (OSError, EOFError, TimeoutError):
                if zygote.poll():
                    raise ExecutorUnavailable(f"the zygote exited with status {zygote.returncode}") from None
                time.sleep(0.01)
        raise ExecutorUnavailable(f"no check process within {START_SECONDS:g} s")


class _CheckProcess:
    """One check process, as its client sees it."""

    def __init__(self, address: str, hello_seconds: float) -> None:
        """Connect and wait for its hello. Raises OSError, EOFError or TimeoutError."""
        client = socket.socket(socket.AF_UNIX)
        try:
            client.settimeout(hello_seconds)
            client.connect(socket_address(address))
            client.settimeout(None)
            # A memory does not fit into the socket's buffer: a process that is frozen would never take the rest of
            # it, nor give it.
            for blocked in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                client.setsockopt(socket.SOL_SOCKET, blocked, struct.pack("ll", BLOCKED_SECONDS, 0))
        except OSError:
            client.close()
            raise
        self._connection = Connection(client.detach())
        self.runs = 0
        self.idle_since = 0.0
        try:
            self.pid: int = json.loads(self._receive(hello_seconds))["pid"]
        except BaseException:
            self._connection.close()
            raise
        # A pid may be used again; a pidfd means this process for ever.
        self._pidfd = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None

    def ask(self, check: CheckSpec, past: Past) -> bytes:
        """The reply to a request to run a check. Raises TimeoutError, or EOFError or OSError when the process dies."""
        self.runs += 1
        self._connection.send_bytes(encode_request(check, past))
        return self._receive(check.timeout_seconds)

    def is_alive(self) -> bool:
        """An idle process has nothing to say: if there is something to read, it is the end of the connection."""
        try:
            return not self._connection.poll()
        except OSError:
            return False

    def end(self) -> None:
        """Kill it and let go. Does not wait: a process in an uninterruptible call would make us wait with it."""
        with contextlib.suppress(ProcessLookupError):
            if self._pidfd is None:
                os.kill(self.pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        self._connection.close()

    def _receive(self, seconds: float) -> bytes:
        if not self._connection.poll(seconds):
            raise TimeoutError
        return self._connection.recv_bytes()
