"""Output of `monitor up`: its own messages and the output of its child processes.

On a terminal, the supervisor reads the output of the children from pipes and prints each line after the name of the
child. Without a terminal, the children write to the standard error of the supervisor, and the supervisor logs its
messages as events, like its children.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import sys
from collections.abc import Mapping
from typing import Any

import click

from monitor.lib import log_lines, logs

log = logs.get_logger("monitor.up")

_COLOURS = {"redis": "red", "worker": "green", "beat": "yellow", "web": "cyan", "monitor": "white"}


_SOURCE_COLUMNS = 10
"""Columns of the name of the source before each line."""


class Output:
    """Output to a terminal or to a log."""

    def __init__(self, *, terminal: bool | None = None) -> None:
        self.terminal = sys.stdout.isatty() and sys.stderr.isatty() if terminal is None else terminal

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables with which a child process writes lines for this output."""
        if not self.terminal:
            return {}
        return {"MONITOR_LOG_FORMAT": "console", "COLUMNS": str(max(0, self._columns() - _SOURCE_COLUMNS))}

    def event(self, name: str, text: str, **context: Any) -> None:
        """Print ``text`` on a terminal; without a terminal, log the event ``name`` with ``text`` and ``context``."""
        if self.terminal:
            self.line("monitor", text)
        else:
            log.info(name, message=text, **context)

    def line(self, source: str, text: str) -> None:
        """Print one line after the name of its source. A line that is too long for the terminal continues below it."""
        width, prefix = self._columns() - _SOURCE_COLUMNS, click.style(f"{source:>7} | ", fg=_COLOURS.get(source))
        for part in log_lines.fit(text, width, continues=True, indent="  ").splitlines() or [""]:
            self._write(f"{prefix}{part}\n")

    def _columns(self) -> int:
        return shutil.get_terminal_size((0, 0)).columns

    def _write(self, text: str) -> None:
        # A closed terminal raises OSError. The monitor does not stop here, but at the SIGHUP that it gets.
        with contextlib.suppress(OSError):
            sys.stdout.write(text)
            sys.stdout.flush()


class LineSplitter:
    """Reader of the children's pipes that prints complete lines."""

    def __init__(self, selector: selectors.BaseSelector, output: Output) -> None:
        self._selector = selector
        self._output = output
        self._pending: dict[int, bytes] = {}

    def follow(self, source: str, descriptor: int) -> None:
        """Register a pipe for reading. `read` closes it at end of file."""
        os.set_blocking(descriptor, False)
        self._pending[descriptor] = b""
        self._selector.register(descriptor, selectors.EVENT_READ, source)

    def read(self, descriptor: int, source: str) -> None:
        """Read the data that is in a pipe now, and print the complete lines."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(descriptor, 65536)
            *lines, incomplete_line = (self._pending[descriptor] + data).split(b"\n")
            if not data and incomplete_line:
                lines.append(incomplete_line)
            for line in lines:
                self._output.line(source, line.decode(errors="replace"))
            self._pending[descriptor] = incomplete_line
            if not data:
                self._selector.unregister(descriptor)
                os.close(descriptor)
                del self._pending[descriptor]
