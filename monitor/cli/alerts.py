"""``monitor silence``, ``silences`` and ``unsilence``, and the tables of alerts in ``monitor status``."""

from __future__ import annotations

import contextlib
import getpass
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor import wiring
from monitor.alerts.text import duration
from monitor.cli.data_dir import data_dir_option
from monitor.cli.options import config_option
from monitor.cli.store_access import exit_if_store_unavailable, load_with_store
from monitor.cli.tables import ExitCode, coloured
from monitor.config.units import Pattern, matches, seconds
from monitor.model.alerts import Alert, AlertsOverview, Silence
from monitor.ports.store import Store

DEAD_LETTERS_SHOWN = 10


def _duration_seconds(_context: click.Context, _parameter: click.Parameter, value: str) -> float:
    try:
        duration_seconds = float(seconds(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not 0 < duration_seconds <= 366 * 86_400:
        raise click.BadParameter("should be more than 0 seconds, and at most a year")
    return duration_seconds


def _pattern(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        pattern: str = TypeAdapter(Pattern).validate_python(value)
    except ValidationError as error:
        raise click.BadParameter(
            "should be the name of a check, or a pattern in which * stands for any text"
        ) from error
    return pattern


@click.command()
@click.argument("checks", metavar="CHECK", callback=_pattern)
@click.option("--for", "for_seconds", callback=_duration_seconds, required=True, help="Duration, such as 30m or 8h.")
@click.option("--why", required=True, help="Reason, shown with the silence.")
@click.option("--by", help="Author, shown with the silence (default: the name of the current user).")
@config_option
@data_dir_option
def silence(
    *, checks: str, for_seconds: float, why: str, by: str | None, config: Path | None, data_dir: Path | None
) -> None:
    """Send no notices about failures of CHECK for a while, and no reminders.

    CHECK is the name of a check, or a pattern such as 'queue:*'. Silenced checks still run, and their results are still
    shown. If a notice of a failure was sent before the silence, and the failure ends during the silence, the notice
    `resolved` is sent. If a failure begins during the silence, and still lasts when the silence ends, a notice of it is
    sent then.
    """
    with _store(config, data_dir) as store:
        created = store.alerts.silence(checks, for_seconds=for_seconds, why=why, by=by or _user())
        check_names = [*store.states.read().states]
    click.echo(f"silence {created.id}: {created.checks} is silenced for {duration(for_seconds)}")
    if not any(matches(name, (checks,)) for name in check_names):
        click.echo(f"no check matches {checks} at present", err=True)


@click.command()
@config_option
@data_dir_option
def silences(config: Path | None, data_dir: Path | None) -> None:
    """List the silences that have not ended."""
    with _store(config, data_dir) as store:
        overview = store.alerts.overview()
    if overview.silences:
        _print_silences(overview, Console())
    else:
        click.echo("nothing is silenced")


@click.command()
@click.argument("silence_id", metavar="ID")
@config_option
@data_dir_option
def unsilence(silence_id: str, config: Path | None, data_dir: Path | None) -> None:
    """End a silence now. Notices of failures that began during the silence and still last are sent."""
    with _store(config, data_dir) as store:
        ended = store.alerts.unsilence(silence_id)
    if not ended:
        click.echo(f"there is no such silence: {silence_id}; `monitor silences` lists them", err=True)
        sys.exit(ExitCode.WARNING)
    click.echo(f"silence {silence_id} has ended")


def show_alerts(overview: AlertsOverview, console: Console | None = None) -> None:
    """Print tables of alerts, silences, waiting notices and dead letters. A table without rows is not printed."""
    console = console or Console()
    alerts = [alert for alert in overview.alerts if alert.told or alert.held or alert.flapping_since is not None]
    if alerts:
        headings = ("alert", "status", "for", "notified", "held back")
        _print(headings, (_alert_row(alert, overview) for alert in alerts), console)
    if overview.silences:
        _print_silences(overview, console)
    waiting = [queue for queue in overview.queues if queue.pending or queue.failures]
    if waiting:
        rows = (
            [
                queue.channel,
                str(queue.pending),
                _time_since(overview, queue.oldest_at),
                str(queue.failures),
                queue.reason or "",
            ]
            for queue in waiting
        )
        _print(("channel", "waiting", "oldest", "failures", "last failure"), rows, console)
    if overview.dead_letter_count:
        _print(("dead letter", "channel", "given up (ago)", "attempts", "reason"), _dead_letter_rows(overview), console)


def _alert_row(alert: Alert, overview: AlertsOverview) -> list[str | Text]:
    status = coloured("flapping" if alert.flapping_since is not None else alert.status, alert.status)
    last_notices = alert.told.items()  # by channel
    notified = ", ".join(f"{channel} ({last_notice.status})" for channel, last_notice in last_notices)
    held = f"{alert.held} ({alert.held_by})" if alert.held else ""
    return [alert.check, status, _time_since(overview, alert.since), notified, held]


def _dead_letter_rows(overview: AlertsOverview) -> Iterator[list[str]]:
    letters = overview.dead_letters[:DEAD_LETTERS_SHOWN]
    for letter in letters:
        given_up = _time_since(overview, letter.at)
        yield [letter.notice.id, letter.channel, given_up, str(letter.attempts), letter.reason]
    if overview.dead_letter_count > len(letters):
        yield [f"and {overview.dead_letter_count - len(letters)} more", "", "", "", ""]


def _print_silences(overview: AlertsOverview, console: Console) -> None:
    def row(silence: Silence) -> list[str]:
        return [silence.id, silence.checks, duration(silence.until - overview.read_at), silence.by, silence.why]

    _print(("silence", "checks", "left", "by", "why"), map(row, overview.silences), console)


def _print(headings: tuple[str, ...], rows: Iterable[Sequence[str | Text]], console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    console.print()
    console.print(table)


def _time_since(overview: AlertsOverview, at: float | None) -> str:
    return "" if at is None else duration(overview.read_at - at)


@contextlib.contextmanager
def _store(config: Path | None, data_dir: Path | None) -> Iterator[Store]:
    with (
        exit_if_store_unavailable(),
        contextlib.closing(wiring.build_store(load_with_store(config, data_dir))) as store,
    ):
        yield store


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # the user id of a container may have no user name
        return ""
