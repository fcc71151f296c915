"""``monitor history NAME``: what became of a check, as a table and sparklines."""

from __future__ import annotations

import json
import sys
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
from monitor.history.moments import moment
from monitor.history.series import Curve, Curves, Span
from monitor.history.uptime import UptimeSeconds, uptime
from monitor.model.checks import Status
from monitor.ports.history import HistoryBounds
from monitor.presentation import history as chronicle

ROWS = 16
BARS = "▁▂▃▄▅▆▇█"
MARKS = {Status.OK: "▁", Status.WARNING: "▄", Status.ERROR: "█", Status.UNKNOWN: "?"}
"""Told apart without colours, too. What was not observed is blank."""
RESERVED_CHARACTERS = 60


@click.command()
@click.argument("name")
@click.option("--since", default="24h", show_default=True, help="How far back, such as 6h; or a time, as in the API.")
@click.option("--series", help="Names of series, separated by commas (default: all).")
@click.option("--json", "as_json", is_flag=True, help="JSON, as /api/health/history/ has it.")
@config_option
@data_dir_option
def history(
    *, name: str, since: str, series: str | None, as_json: bool, config: Path | None, data_dir: Path | None
) -> None:
    """Show what became of the check NAME: its status and its numbers over time.

    Exit code: 0; 3 when nothing is known of it in that time, or the store does not answer.
    """
    loaded = load_with_store(config, data_dir)
    names = tuple(each.strip() for each in series.split(",") if each.strip()) if series else None
    console = Console()
    with exit_if_store_unavailable():
        store = wiring.store(loaded)
        kept, now = store.history, store.states.now()
        begin = _begin(since, now)
        sparks, rows = Span(begin, now, _step(begin, now, console, as_json)), Span(begin, now, (now - begin) / ROWS)
        fine, reaches = chronicle.curves(kept, name, sparks, names=names)
        coarse, _ = chronicle.curves(kept, name, rows, names=names, reaches=reaches)
        known_since = max(begin, chronicle.begins(reaches) or now)
        figures = uptime(kept.rollups([name], known_since)[name])
    if as_json:
        click.echo(json.dumps(chronicle.curves_document(name, fine, reaches), indent=2))
    elif any(fine.status):
        heading = Text.assemble((name, "bold"), f" since {_clock(fine.scale.since, now)}: {_in_words(figures)}")
        _show(console, heading, fine, coarse, now)
    if not any(fine.status):
        _fail(f"nothing is known of {name} since {_clock(begin, now)}{_reach(reaches, begin, now)}")


def sparkline(values: Sequence[float | None]) -> str:
    """A bar for each value, between the least and the greatest; a blank where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    low, room = min(known), max(known) - min(known)
    place = (lambda value: round((value - low) / room * (len(BARS) - 1))) if room else (lambda _: 0)
    return "".join(" " if value is None else BARS[place(value)] for value in values)


def _begin(since: str, now: float) -> float:
    try:
        begin = moment(since if since.startswith("-") else f"-{since}", now)
    except ValueError:
        try:
            begin = moment(since, now)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--since") from error
    if begin >= now:
        raise click.BadParameter("should be in the past", param_hint="--since")
    return begin


def _step(begin: float, now: float, console: Console, as_json: bool) -> float | None:
    """That of the sparklines: as many points as there is room for. The server's own for JSON."""
    return None if as_json else (now - begin) / min(120, max(20, console.width - RESERVED_CHARACTERS))


def _show(console: Console, heading: Text, fine: Curves, coarse: Curves, now: float) -> None:
    console.print(heading)
    sparks = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("series", "", "min", "mean", "max"):
        sparks.add_column(head, justify="right" if head.startswith("m") else "left", no_wrap=True)
    sparks.add_row("status", _strip(fine.status))
    for series, curve in fine.series.items():
        sparks.add_row(f"{series}, {curve.unit}" if curve.unit else series, sparkline(curve.mean), *_spread(curve))
    console.print(sparks)
    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("from")
    table.add_column("status")
    for series in coarse.series:
        table.add_column(series, justify="right", overflow="fold")
    for row in _rows(coarse, now):
        table.add_row(*row)
    console.print(table)


def _rows(found: Curves, now: float) -> Iterator[list[str | Text]]:
    for place, at in enumerate(found.scale.times):
        status = found.status[place]
        word = coloured(status, status) if status else Text("not observed", style="dim")
        numbers = []
        for curve in found.series.values():
            low, mean, high = curve.low[place], curve.mean[place], curve.high[place]
            same = low == high
            numbers.append("" if mean is None else _number(mean) if same else f"{_number(mean)} (to {_number(high)})")
        yield [_clock(at, now), word, *numbers]


def _strip(statuses: Sequence[Status | None]) -> Text:
    text = Text()
    for status in statuses:
        text.append(coloured(MARKS[status], status) if status else " ")
    return text


def _spread(curve: Curve) -> list[str]:
    means = [value for value in curve.mean if value is not None]
    if not means:
        return ["", "", ""]
    lows, highs = ([value for value in side if value is not None] for side in (curve.low, curve.high))
    return [_number(min(lows)), _number(sum(means) / len(means)), _number(max(highs))]


def _in_words(figures: UptimeSeconds) -> str:
    """Availability is never rounded up: an outage stays visible."""
    if figures.availability is None:
        return "never seen up or down"
    share = int(figures.availability * 100_000) / 1000
    count = figures.incidents
    said = [f"{share:g}% up", f"{count} incident{'' if count == 1 else 's'}" if count else "no incident"]
    if figures.mttr_seconds is not None:
        said.append(f"repaired in {duration(figures.mttr_seconds)}")
    times = (("warning", figures.warning), ("not known", figures.unknown), ("not observed", figures.unobserved))
    return ", ".join([*said, *(f"{duration(seconds)} {word}" for word, seconds in times if seconds >= 1)])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _clock(at: float, now: float) -> str:
    """Local time; with the date, where it is not today's."""
    then, today = datetime.fromtimestamp(at), datetime.fromtimestamp(now)
    return then.strftime("%H:%M:%S" if then.date() == today.date() else "%Y-%m-%d %H:%M")


def _reach(reaches: HistoryBounds, begin: float, now: float) -> str:
    first = chronicle.begins(reaches)
    if first is None:
        return "; nothing is kept of any check: history is off, or has only just begun"
    return f"; history reaches back {duration(now - first)}" if first > begin else ""


def _fail(why: str) -> NoReturn:
    click.echo(why, err=True)
    sys.exit(ExitCode.UNKNOWN)
