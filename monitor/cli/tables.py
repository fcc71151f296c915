"""Tables of checks for the terminal, and the exit codes of commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from types import NoneType
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.alerts.text import field_text
from monitor.model.checks import Status

_COLOURS = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.ERROR: "red",
    Status.STALE: "magenta",
    Status.UNKNOWN: "cyan",
}


class ExitCode(IntEnum):
    """Exit codes of the Nagios plugin convention."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class CheckRow(NamedTuple):
    """Row for a check in a table. ``age_seconds`` is the age of the result, or None if there is no result or no age."""

    check: str
    status: Status
    reason: str | None = None
    message: str | None = None
    response_time_ms: float | None = None
    age_seconds: float | None = None
    data: Mapping[str, Any] = {}
    critical: bool = True


def exit_code(rows: Iterable[CheckRow]) -> ExitCode:
    """Return the exit code of the first of these conditions that is true.

    1. A critical check is in error or stale: 2.
    2. A critical check is unknown: 3.
    3. A check is not ok: 1.
    4. All checks are ok: 0.
    """
    statuses = [(row.status, row.critical) for row in rows]
    if any(critical and status in (Status.ERROR, Status.STALE) for status, critical in statuses):
        return ExitCode.CRITICAL
    if any(critical and status is Status.UNKNOWN for status, critical in statuses):
        return ExitCode.UNKNOWN
    return ExitCode.WARNING if any(status is not Status.OK for status, _ in statuses) else ExitCode.OK


def print_checks(rows: Iterable[CheckRow], *, with_age: bool, console: Console | None = None) -> None:
    """Print a table of checks to ``console`` (default: standard output)."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("check", "status", "reason", "time"):
        table.add_column(heading, justify="right" if heading == "time" else "left")
    if with_age:
        table.add_column("age", justify="right")
    table.add_column("details", overflow="fold")
    for row in rows:
        cells = [
            Text(row.check),
            coloured(row.status, row.status),
            Text(row.reason or ""),
            Text(_quantity(row.response_time_ms, "ms")),
        ]
        cells += [Text(_quantity(row.age_seconds, "s"))] if with_age else []
        table.add_row(*cells, Text(row.message or _numbers(row.data)))
    (console or Console()).print(table)


def coloured(text: str, status: Status) -> Text:
    """Return the text in the colour of a status."""
    return Text(text, style=_COLOURS[status])


def _quantity(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.1f} {unit}"


def _numbers(data: Mapping[str, Any]) -> str:
    numbers = {key: value for key, value in data.items() if not isinstance(value, Mapping | list | tuple | NoneType)}
    return ", ".join(f"{key}={field_text(key, value)}" for key, value in numbers.items())
