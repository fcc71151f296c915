"""``monitor events``: the last changes of status, and with ``--follow`` new changes as they occur."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from monitor import wiring
from monitor.cli.data_dir import data_dir_option
from monitor.cli.options import config_option
from monitor.cli.store_access import exit_if_store_unavailable, load_with_store
from monitor.cli.tables import ExitCode, coloured
from monitor.model.checks import Transition
from monitor.ports.store import StateStore, StoreUnavailable
from monitor.presentation import history

POLL_SECONDS = 1.0
PAGE_SIZE = 1000


@click.command()
@click.option("--check", help="Name of a check: show only its events.")
@click.option(
    "--limit", "-n", type=click.IntRange(0, 1_000_000), default=20, show_default=True, help="Number of past events."
)
@click.option("--follow", "-f", is_flag=True, help="After the past events, print new ones as they occur, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON, as in /api/health/events/.")
@config_option
@data_dir_option
def events(
    *, check: str | None, limit: int, follow: bool, as_json: bool, config: Path | None, data_dir: Path | None
) -> None:
    """Show the last changes of status, oldest first.

    Exit code: 0, or 3 if the store does not answer. With --follow, if the store stops answering, the command waits
    until it answers again.
    """
    loaded = load_with_store(config, data_dir)
    states = wiring.build_store(loaded).states
    # soft_wrap: each event is one line, however long. Rich prints colours on a terminal only.
    console = Console(soft_wrap=True, highlight=False)
    try:
        with exit_if_store_unavailable():
            cursor = _print_last(states, console, check, limit, as_json)
            if follow:
                _follow(states, console, check, cursor, as_json)
    except KeyboardInterrupt:
        sys.exit(ExitCode.OK)


def _print_last(states: StateStore, console: Console, check: str | None, limit: int, as_json: bool) -> str | None:
    """Print the last ``limit`` events. Return the cursor after the newest event of all checks, from which to go on."""
    last: deque[tuple[str, Transition]] = deque(maxlen=limit)
    cursor, more = None, True
    while more:
        page = history.read_events(states, after=cursor, limit=PAGE_SIZE, check=check)
        last.extend(page.events)
        cursor, more = page.cursor, page.more
    for event in last:
        _print(console, *event, as_json)
    return cursor


def _follow(states: StateStore, console: Console, check: str | None, cursor: str | None, as_json: bool) -> None:
    is_answering = True
    while True:
        try:
            page = history.read_events(states, after=cursor, limit=PAGE_SIZE, check=check)
        except StoreUnavailable as error:
            if is_answering:
                click.echo(f"the store does not answer: {error}; waiting", err=True)
            is_answering = False
        else:
            if not is_answering:
                click.echo("the store answers again", err=True)
            is_answering, cursor = True, page.cursor
            for event in page.events:
                _print(console, *event, as_json)
        time.sleep(POLL_SECONDS)


def _print(console: Console, cursor: str, transition: Transition, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(history.event_document(cursor, transition)))
        return
    at = datetime.fromtimestamp(transition.at).strftime("%Y-%m-%d %H:%M:%S")
    line = Text.assemble(f"{at}  ", (transition.check, "bold"), "  ")
    line.append(coloured(transition.old, transition.old)).append(" → ").append(coloured(transition.new, transition.new))
    console.print(line.append(f"  {(transition.reason or '').replace('_', ' ')}".rstrip()))
    console.file.flush()
