"""``monitor history NAME``: the history of a check, as sparklines and a table."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor import wiring
from monitor.alerts.text import duration
from monitor.cli.data_dir import data_dir_option
from monitor.cli.options import config_option
from monitor.cli.store_access import exit_if_store_unavailable, load_with_store
from monitor.cli.tables import ExitCode, coloured
from monitor.history.moments import parse_moment
from monitor.history.series import Curve, Curves, Span
from monitor.history.uptime import UptimeSeconds, uptime
from monitor.model.checks import Status
from monitor.ports.history import HistoryBounds
from monitor.presentation.history import curves_document, earliest_at, read_curves

TABLE_ROWS = 16
BARS = "▁▂▃▄▅▆▇█"
MARKS = {Status.OK: "▁", Status.WARNING: "▄", Status.ERROR: "█", Status.UNKNOWN: "?"}
"""Marks in the sparkline of the status. They differ in form and not only in colour. No observation is a blank."""
RESERVED_CHARACTERS = 60
"""Width of the columns beside a sparkline."""


@click.command()
@click.argument("name")
@click.option(
    "--since",
    default="24h",
    show_default=True,
    help="Start: an age such as 6h, or a time in a form that the API accepts.",
)
@click.option("--series", help="Names of series, separated by commas (default: all).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as in /api/health/history/.")
@config_option
@data_dir_option
def history(
    *, name: str, since: str, series: str | None, as_json: bool, config: Path | None, data_dir: Path | None
) -> None:
    """Show the history of the check NAME: its status and its numbers over time.

    Exit code: 0, or 3 if there are no observations of the check in that time or the store does not answer.
    """
    _begin(since, time.time())  # a wrong time is reported before the configuration and the store are read
    loaded = load_with_store(config, data_dir)
    names = tuple(part.strip() for part in series.split(",") if part.strip()) if series else None
    console = Console()
    with exit_if_store_unavailable():
        store = wiring.build_store(loaded)
        source, now = store.history, store.states.now()
        begin = _begin(since, now)
        sparkline_span = Span(begin, now, _step(begin, now, console, as_json))
        row_span = Span(begin, now, (now - begin) / TABLE_ROWS)
        sparklines, bounds = read_curves(source, name, sparkline_span, names=names)
        rows, _ = read_curves(source, name, row_span, names=names, reaches=bounds)
        known_since = max(begin, earliest_at(bounds) or now)
        uptime_seconds = uptime(source.rollups([name], known_since)[name])
    if as_json:
        click.echo(json.dumps(curves_document(name, sparklines, bounds), indent=2))
    elif any(sparklines.status):
        heading = Text.assemble(
            (name, "bold"), f" since {_clock(sparklines.scale.since, now)}: {_summary(uptime_seconds)}"
        )
        _print_history(console, heading, sparklines, rows, now)
    if not any(sparklines.status):
        _fail(f"there is no observation of {name} since {_clock(begin, now)}{_history_begin(bounds, begin, now)}")


def sparkline(values: Sequence[float | None]) -> str:
    """Return one character for each value: a bar, or a blank for None.

    The lowest value has the lowest bar, the highest value the highest bar.
    """
    numbers = [value for value in values if value is not None]
    if not numbers:
        return " " * len(values)
    low, range_length = min(numbers), max(numbers) - min(numbers)
    height = (lambda value: round((value - low) / range_length * (len(BARS) - 1))) if range_length else (lambda _: 0)
    return "".join(" " if value is None else BARS[height(value)] for value in values)


def _begin(since: str, now: float) -> float:
    try:
        begin = parse_moment(since if since.startswith("-") else f"-{since}", now)
    except ValueError:
        try:
            begin = parse_moment(since, now)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--since") from error
    if begin >= now:
        raise click.BadParameter("should be in the past", param_hint="--since")
    return begin


def _step(begin: float, now: float, console: Console, as_json: bool) -> float | None:
    """Return the seconds between two points of a sparkline, so that it fits the console.

    Return None for JSON, which has the default step of the API.
    """
    return None if as_json else (now - begin) / min(120, max(20, console.width - RESERVED_CHARACTERS))


def _print_history(console: Console, heading: Text, sparklines: Curves, rows: Curves, now: float) -> None:
    console.print(heading)
    overview = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("series", "", "min", "mean", "max"):
        overview.add_column(column, justify="right" if column.startswith("m") else "left", no_wrap=True)
    overview.add_row("status", _status_line(sparklines.status))
    for series, curve in sparklines.series.items():
        overview.add_row(
            f"{series}, {curve.unit}" if curve.unit else series, sparkline(curve.mean), *_min_mean_max(curve)
        )
    console.print(overview)
    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("from")
    table.add_column("status")
    for series in rows.series:
        table.add_column(series, justify="right", overflow="fold")
    for row in _table_rows(rows, now):
        table.add_row(*row)
    console.print(table)


def _table_rows(rows: Curves, now: float) -> Iterator[list[str | Text]]:
    for index, at in enumerate(rows.scale.times):
        status = rows.status[index]
        word = coloured(status, status) if status else Text("not observed", style="dim")
        numbers = []
        for curve in rows.series.values():
            low, mean, high = curve.low[index], curve.mean[index], curve.high[index]
            same = low == high
            numbers.append("" if mean is None else _number(mean) if same else f"{_number(mean)} (to {_number(high)})")
        yield [_clock(at, now), word, *numbers]


def _status_line(statuses: Sequence[Status | None]) -> Text:
    text = Text()
    for status in statuses:
        text.append(coloured(MARKS[status], status) if status else " ")
    return text


def _min_mean_max(curve: Curve) -> list[str]:
    means = [value for value in curve.mean if value is not None]
    if not means:
        return ["", "", ""]
    lows, highs = ([value for value in side if value is not None] for side in (curve.low, curve.high))
    return [_number(min(lows)), _number(sum(means) / len(means)), _number(max(highs))]


def _summary(uptime_seconds: UptimeSeconds) -> str:
    """Return availability, incidents and times in one line. Availability is rounded down: 100% means no outage."""
    if uptime_seconds.availability is None:
        return "never observed up or down"
    percent = int(uptime_seconds.availability * 100_000) / 1000
    count = uptime_seconds.incidents
    texts = [f"{percent:g}% up", f"{count} incident{'' if count == 1 else 's'}" if count else "no incident"]
    if uptime_seconds.mttr_seconds is not None:
        texts.append(f"mean time to repair {duration(uptime_seconds.mttr_seconds)}")
    times = (
        ("warning", uptime_seconds.warning),
        ("unknown", uptime_seconds.unknown),
        ("not observed", uptime_seconds.unobserved),
    )
    return ", ".join([*texts, *(f"{duration(seconds)} {word}" for word, seconds in times if seconds >= 1)])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _clock(at: float, now: float) -> str:
    """Return a time in the local time zone: the time of day if it is today, else the date and the time."""
    local, today = datetime.fromtimestamp(at), datetime.fromtimestamp(now)
    return local.strftime("%H:%M:%S" if local.date() == today.date() else "%Y-%m-%d %H:%M")


def _history_begin(bounds: HistoryBounds, begin: float, now: float) -> str:
    first = earliest_at(bounds)
    if first is None:
        return "; no observation of any check is stored: history is off, or the monitor has just been started"
    return f"; history reaches back {duration(now - first)}" if first > begin else ""


def _fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(ExitCode.UNKNOWN)
