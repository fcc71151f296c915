"""The loop of `monitor up`. One thread: it waits for signals, for the children's output and for the next thing due."""

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
    """Keeps a server (the embedded Redis, if any) and the roles that need it running until it is asked to stop.

    ``on_tick`` is called about five times a second while all is well; it looks for the first snapshot.
    """

    def __init__(self, server: Role | None, roles: Sequence[Role], mark: str, output: Output) -> None:
        self._server = Child(server, mark) if server else None
        self._roles = [Child(role, mark) for role in roles]
        self._mark = mark
        self._output = output
        self._selector = selectors.DefaultSelector()
        self._lines = LineSplitter(self._selector, output)
        self._asked_to_stop = 0

    @property
    def troubled(self) -> dict[str, str]:
        """The children that have ended at least once in a row, and how."""
        children = [*([self._server] if self._server else []), *self._roles]
        return {
            c.role.name: f"ended {c.restarts.in_a_row} times, last with {_exit_text(c.exit_code)}"
            for c in children
            if c.restarts.in_a_row and c.exit_code is not None
        }

    def run(self, server_answers: Callable[[], bool], on_tick: Callable[[], None]) -> None:
        """Start everything and keep it running; returns once all has ended after SIGINT, SIGTERM or SIGHUP.

        Raises :class:`CannotStart`, with nothing left running, when the server does not come up, or when the system
        refuses to start a process.
        """
        try:
            guard = watcher.start(self._mark)
        except OSError as error:
            raise CannotStart(f"no process can be started: {error}") from error
        with self._signals():
            try:
                self._start_server(server_answers)
                for child in self._roles:
                    self._start(child)
                while not self._asked_to_stop:
                    self._wait()
                    self._tend()
                    on_tick()
                self._stop()
            finally:
                end_marked(self._mark, grace_seconds=0.0)
                if guard.stdin:
                    guard.stdin.close()
                guard.wait()

    def stop(self) -> None:
        """Ask it to stop, as a signal would."""
        self._asked_to_stop += 1

    def _start_server(self, answers: Callable[[], bool]) -> None:
        if self._server is None:
            return
        self._start(self._server)
        deadline = time.monotonic() + _SERVER_START_SECONDS
        while not answers() and not self._asked_to_stop:
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

    def _tend(self) -> None:
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
        """End the roles first and the server last: a check that is under way may still store its result."""
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
            # A second Ctrl-C means: now.
            if time.monotonic() > deadline or self._asked_to_stop > 1:
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
        """Signals and ended children wake the loop up, through a socket: none can come between look and sleep."""

        asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        ours = dict.fromkeys(asked, lambda *_: self.stop()) | {signal.SIGCHLD: lambda *_: None}
        receiver, sender = socket.socketpair()
        with receiver, sender:
            receiver.setblocking(False)
            sender.setblocking(False)
            self._selector.register(receiver, selectors.EVENT_READ)
            before = {number: signal.signal(number, handler) for number, handler in ours.items()}
            wakeup = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
            try:
                yield
            finally:
                signal.set_wakeup_fd(wakeup)
                for number, handler in before.items():
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
    return "\n".join(text.splitlines()[-lines:]) or "it said nothing"
