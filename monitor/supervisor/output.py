"""What `monitor up` prints: its own words, and on a terminal its children's lines, each behind the child's name.

Away from a terminal the children log to the same standard error themselves, and the supervisor's own events are
lines of the same kind (JSON, unless configured otherwise).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import sys
from typing import Any

import click
import structlog

log = structlog.get_logger("monitor.up")

_COLOURS = {"redis": "red", "worker": "green", "beat": "yellow", "web": "cyan", "monitor": "white"}


class Output:
    """Standard output, for a person or for a log collector."""

    def __init__(self, *, terminal: bool | None = None) -> None:
        self.terminal = sys.stdout.isatty() and sys.stderr.isatty() if terminal is None else terminal

    def event(self, name: str, text: str, **context: Any) -> None:
        """Say what happened: ``text`` for a person, ``name`` and ``context`` for a machine."""
        if self.terminal:
            self.line("monitor", text)
        else:
            log.info(name, message=text, **context)

    def line(self, source: str, text: str) -> None:
        """One line behind the name of whom it comes from."""
        # A terminal that has gone away is no reason to stop monitoring before SIGHUP says so.
        with contextlib.suppress(OSError):
            sys.stdout.write(click.style(f"{source:>7} | ", fg=_COLOURS.get(source)) + f"{text}\n")
            sys.stdout.flush()


class LineSplitter:
    """Turns what is read from the children's pipes into whole lines."""

    def __init__(self, selector: selectors.BaseSelector, output: Output) -> None:
        self._selector = selector
        self._output = output
        self._pending: dict[int, bytes] = {}

    def follow(self, source: str, descriptor: int) -> None:
        """Read this pipe from now on; it is closed at its end."""
        os.set_blocking(descriptor, False)
        self._pending[descriptor] = b""
        self._selector.register(descriptor, selectors.EVENT_READ, source)

    def read(self, descriptor: int, source: str) -> None:
        """Pass on what a pipe holds by now."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(descriptor, 65536)
            *lines, rest = (self._pending[descriptor] + data).split(b"\n")
            if not data and rest:
                lines.append(rest)
            for line in lines:
                self._output.line(source, line.decode(errors="replace"))
            self._pending[descriptor] = rest
            if not data:
                self._selector.unregister(descriptor)
                os.close(descriptor)
                del self._pending[descriptor]
