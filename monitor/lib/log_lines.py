"""Log events as text: one short line for a terminal, ``HH:MM:SS level event key=value``.

Numbers have units: ``duration_ms=12.25`` is written ``duration=12.3ms``. The default level, the logger and ids are left
out. A line that is longer than the terminal is wide is cut; a warning or an error continues on the next line.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_HIDDEN = frozenset({"event", "level", "logger", "timestamp", "exception", "stack"})
_FIRST = ("check", "channel", "was", "now")
_OWN = ("monitor", "demo", "")
_IDS = frozenset({"task_id", "transition", "notice", "run_id"})
_LEVELS = {"warning": "warn", "critical": "crit"}
_COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "31;1"}
_INDENT = " " * 15
MIN_COLUMNS = 40
"""Width below which lines are neither cut nor continued."""


class LineRenderer:
    """Processor of structlog that returns an event as text for a terminal."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def __call__(self, _logger: Any, _method: str, event: Mapping[str, Any]) -> str:
        """Return the line of an event. The lines of a traceback follow."""
        level = str(event.get("level", "info"))
        head = f"{_clock(event.get('timestamp'))} {_LEVELS.get(level, level):<5} "
        fields = {key: value for key, value in event.items() if key not in _IDS}
        message = " ".join(text(fields, with_exception=False).split())
        logger = str(event.get("logger", ""))
        if logger == "py.warnings":
            message = re.sub(r"^\S+:\d+: ", "", message)  # the place in the code
        elif logger.partition(".")[0] not in _OWN:
            message = f"{logger.partition('.')[0]}: {message}"
        line = fit(head + message, columns(), continues=level not in ("debug", "info") and logger != "py.warnings")
        if self._colours and level in _COLOURS:
            line = f"\x1b[{_COLOURS[level]}m{line}\x1b[0m"
        return "\n".join([line, *_attached(event)])


class FirstResultFilter(logging.Filter):
    """Filter that drops the events about first results that are ok: at the start there is one for each check."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record."""
        fields = record.msg
        return not (isinstance(fields, dict) and fields.get("was") == "unknown" and fields.get("now") == "ok")


def text(event: Mapping[str, Any], *, with_exception: bool = True) -> str:
    """Return an event as text: its name and its fields, ``key=value``. A traceback follows on its own lines."""
    shown = {key: value for key, value in event.items() if key not in _HIDDEN and value is not None}
    first = {key: shown.pop(key) for key in _FIRST if key in shown}
    fields = [_field(key, value) for key, value in {**first, **shown}.items()]
    line = " ".join([str(event.get("event", "")), *fields])
    return "\n".join([line, *_attached(event)]) if with_exception else line


def columns() -> int:
    """Return the number of columns of the terminal; 0 if there is none.

    `monitor up` sets the environment variable ``COLUMNS`` for its child processes, whose output it prints.
    """
    if os.environ.get("COLUMNS", "").isdigit():
        return int(os.environ["COLUMNS"])
    return shutil.get_terminal_size((0, 0)).columns if sys.stderr.isatty() else 0


def fit(line: str, width: int, *, continues: bool, indent: str = _INDENT) -> str:
    """Return a line that is at most ``width`` columns wide, or several such lines if it ``continues``.

    A line with a longer word, such as a URL, is unchanged: the terminal wraps it, and the URL can be copied.
    """
    if width < MIN_COLUMNS or len(line) <= width:
        return line
    if continues and max(map(len, line.split())) > width - len(indent):
        return line
    if not continues:
        return line[: width - 1].rstrip() + "…"
    return textwrap.fill(line, width, subsequent_indent=indent, break_on_hyphens=False)


def quantity(name: str, value: float) -> tuple[str, str] | None:
    """Return the name without its unit and the value with its unit; None if the name of the field names no unit."""
    stem, _, unit = name.rpartition("_")
    if unit == "ms":
        return stem or "duration", _duration(value / 1000)
    if unit == "seconds":
        return stem or "duration", _duration(value)
    if unit == "bytes":
        return stem or "size", _size(value)
    return None


def _field(key: str, value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        key, shown = quantity(key, value) or (key, f"{value:g}" if isinstance(value, float) else str(value))
    else:
        shown = str(value)
    return f"{key}={shown!r}" if re.search(r"[\s=\"']", shown) or not shown else f"{key}={shown}"


def _duration(seconds: float) -> str:
    if abs(seconds) < 1:
        return f"{seconds * 1000:.3g}ms"
    if abs(seconds) < 120:
        return f"{seconds:.3g}s"
    return f"{seconds / 60:.3g}min" if abs(seconds) < 7200 else f"{seconds / 3600:.3g}h"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:.3g}GB"


def _clock(timestamp: Any) -> str:
    """Return the local time of day of an ISO 8601 timestamp."""
    try:
        return datetime.fromisoformat(str(timestamp)).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return "--:--:--"


def _attached(event: Mapping[str, Any]) -> list[str]:
    return [str(event[key]) for key in ("stack", "exception") if event.get(key)]
