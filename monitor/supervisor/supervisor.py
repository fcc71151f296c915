"""Loop of `monitor up`. One thread waits for signals, for the output of child processes, and for the next restart."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence

from monitor.supervisor import watcher
from monitor.supervisor.children import Child, Role
from monitor.supervisor.marks import end_marked
from monitor.supervisor.output import LineSplitter, Output
from monitor.supervisor.preflight import CannotStart

GRACE_SECONDS = 10.0
_TICK_SECONDS = 0.2
_SERVER_START_SECONDS = 10.0


class Supervisor:
    """Supervisor that keeps child processes running until it gets a signal.

    The children are the roles and, if ``server`` is given, the embedded Redis, which is started before the roles.
    """

    def __init__(self, server: Role | None, roles: Sequence[Role], mark: str, output: Output) -> None:
        self._server = Child(server, mark) if server else None
        self._roles = [Child(role, mark) for role in roles]
        self._mark = mark
        self._output = output
        self._selector = selectors.DefaultSelector()
        self._lines = LineSplitter(self._selector, output)
        self._stop_requests = 0

    @property
    def exited_children(self) -> dict[str, str]:
        """Children that have ended and have not run for half a minute since, with a text about their exits."""
        children = [*([self._server] if self._server else []), *self._roles]
        return {
            c.role.name: f"ended {c.restarts.in_a_row} times, last with {_exit_text(c.exit_code)}"
            for c in children
            if c.restarts.in_a_row and c.exit_code is not None
        }

    def run(self, server_answers: Callable[[], bool], on_tick: Callable[[], None]) -> None:
        """Start all children and restart each child that ends. After SIGINT, SIGTERM or SIGHUP, end all and return.

        ``server_answers`` returns whether the embedded Redis responds. ``on_tick`` is called about five times a second
        once the roles are started. Raise :class:`CannotStart` if the embedded Redis does not start or the system
        refuses to start a process. Then all processes are ended first.
        """
        try:
            watcher_process = watcher.start(self._mark)
        except OSError as error:
            raise CannotStart(f"no process can be started: {error}") from error
        with self._signals():
            try:
                self._start_server(server_answers)
                for child in self._roles:
                    self._start(child)
                while not self._stop_requests:
                    self._wait()
                    self._restart_ended()
                    on_tick()
                self._stop()
            finally:
                end_marked(self._mark, grace_seconds=0.0)
                if watcher_process.stdin:
                    watcher_process.stdin.close()
                watcher_process.wait()

    def stop(self) -> None:
        """Request the end of all children. A second request kills them. Called for each signal."""
        self._stop_requests += 1

    def _start_server(self, answers: Callable[[], bool]) -> None:
        if self._server is None:
            return
        self._start(self._server)
        deadline = time.monotonic() + _SERVER_START_SECONDS
        while not answers() and not self._stop_requests:
            self._wait(0.02)
            if self._server.has_ended() or time.monotonic() > deadline:
                raise CannotStart(f"the embedded Redis does not start:\n{_tail(self._server.role)}")

    def _start(self, child: Child) -> None:
        try:
            reader = child.start(piped=self._output.terminal)
        except OSError as error:
            raise CannotStart(f"{child.role.name} cannot be started: {error}") from error
        if reader is not None:
            self._lines.follow(child.role.name, reader)

    def _restart_ended(self) -> None:
        for child in [*([self._server] if self._server else []), *self._roles]:
            if child.has_ended():
                self._output.event(
                    "up.child_ended",
                    f"{child.role.name} ended with {_exit_text(child.exit_code)}; "
                    f"starts again in {child.restarts.delay_seconds:g} s",
                    role=child.role.name,
                    exit_code=child.exit_code,
                    restart_in_seconds=child.restarts.delay_seconds,
                )
            elif child.pid is None and time.monotonic() >= child.start_at:
                self._start(child)

    def _stop(self) -> None:
        """End the roles first and the embedded Redis last, so that a running check can store its result."""
        self._output.event("up.stopping", "stopping")
        self._end(self._roles)
        if self._server:
            self._end([self._server])
        self._output.event("up.stopped", "stopped")

    def _end(self, children: Sequence[Child]) -> None:
        for child in children:
            child.send(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(child.pid and not child.has_ended() for child in children):
            # A second Ctrl-C kills the children at once.
            if time.monotonic() > deadline or self._stop_requests > 1:
                for child in children:
                    child.send(signal.SIGKILL)
            self._wait()

    def _wait(self, seconds: float = _TICK_SECONDS) -> None:
        for key, _ in self._selector.select(seconds):
            if isinstance(key.fileobj, int):
                self._lines.read(key.fileobj, key.data)
            elif isinstance(key.fileobj, socket.socket):
                key.fileobj.recv(4096)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Handle signals within the block. Each signal writes to a socket that the loop waits for.

        So a signal that arrives just before the loop waits is not missed. The end of a child is the signal SIGCHLD.
        """

        stop_signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        handlers = dict.fromkeys(stop_signals, lambda *_: self.stop()) | {signal.SIGCHLD: lambda *_: None}
        receiver, sender = socket.socketpair()
        with receiver, sender:
            receiver.setblocking(False)
            sender.setblocking(False)
            self._selector.register(receiver, selectors.EVENT_READ)
            previous_handlers = {number: signal.signal(number, handler) for number, handler in handlers.items()}
            previous_descriptor = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
            try:
                yield
            finally:
                signal.set_wakeup_fd(previous_descriptor)
                for number, handler in previous_handlers.items():
                    signal.signal(number, handler)
                self._selector.unregister(receiver)


def _exit_text(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _tail(role: Role, lines: int = 5) -> str:
    try:
        text = role.log.read_text(errors="replace") if role.log else ""
    except OSError:
        text = ""
    return "\n".join(text.splitlines()[-lines:]) or "it logged nothing"
