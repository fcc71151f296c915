"""Output of `monitor up`: its own messages, and on a terminal the lines of its children behind the child's name.

Without a terminal the children log to the same standard error themselves, and the supervisor logs its events in the
same format (JSON, unless configured otherwise).
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
    """Output for a terminal or for a log collector."""

    def __init__(self, *, terminal: bool | None = None) -> None:
        self.terminal = sys.stdout.isatty() and sys.stderr.isatty() if terminal is None else terminal

    def event(self, name: str, text: str, **context: Any) -> None:
        """Report an event: print ``text`` on a terminal, else log ``name`` with ``text`` and ``context``."""
        if self.terminal:
            self.line("monitor", text)
        else:
            log.info(name, message=text, **context)

    def line(self, source: str, text: str) -> None:
        """Print one line behind the name of its source."""
        # A closed terminal must not stop the monitor here; SIGHUP does so in order.
        with contextlib.suppress(OSError):
            sys.stdout.write(click.style(f"{source:>7} | ", fg=_COLOURS.get(source)) + f"{text}\n")
            sys.stdout.flush()


class LineSplitter:
    """Reader of the children's pipes that prints complete lines."""

    def __init__(self, selector: selectors.BaseSelector, output: Output) -> None:
        self._selector = selector
        self._output = output
        self._pending: dict[int, bytes] = {}

    def follow(self, source: str, descriptor: int) -> None:
        """Register a pipe for reading. It is closed at its end."""
        os.set_blocking(descriptor, False)
        self._pending[descriptor] = b""
        self._selector.register(descriptor, selectors.EVENT_READ, source)

    def read(self, descriptor: int, source: str) -> None:
        """Read the data that a pipe holds now, and print its complete lines."""
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
