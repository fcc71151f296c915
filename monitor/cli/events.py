"""``monitor events``: what changed, and what changes while one looks."""

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
@click.option("--check", help="Those of one check.")
@click.option("--limit", "-n", type=click.IntRange(0), default=20, show_default=True, help="The last so many.")
@click.option("--follow", "-f", is_flag=True, help="And then those that come, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each, as /api/health/events/ has it.")
@config_option
@data_dir_option
def events(
    *, check: str | None, limit: int, follow: bool, as_json: bool, config: Path | None, data_dir: Path | None
) -> None:
    """Show what changed: the last events, oldest first.

    Exit code: 0; 3 when the store does not answer. While following, it waits for the store.
    """
    loaded = load_with_store(config, data_dir)
    states = wiring.store(loaded).states
    # Colours go where they are seen. Not folded: an event is a line.
    console = Console(soft_wrap=True, highlight=False)
    try:
        with exit_if_store_unavailable():
            cursor = _print_last(states, console, check, limit, as_json)
            if follow:
                _follow(states, console, check, cursor, as_json)
    except KeyboardInterrupt:
        sys.exit(ExitCode.OK)


def _print_last(states: StateStore, console: Console, check: str | None, limit: int, as_json: bool) -> str | None:
    """The cursor behind the last event of all."""
    last: deque[tuple[str, Transition]] = deque(maxlen=limit)
    cursor, more = None, True
    while more:
        found = history.events(states, after=cursor, limit=PAGE_SIZE, check=check)
        last.extend(found.found)
        cursor, more = found.cursor, found.more
    for each in last:
        _print(console, *each, as_json)
    return cursor


def _follow(states: StateStore, console: Console, check: str | None, cursor: str | None, as_json: bool) -> None:
    answering = True
    while True:
        try:
            found = history.events(states, after=cursor, limit=PAGE_SIZE, check=check)
        except StoreUnavailable as error:
            if answering:
                click.echo(f"the store does not answer: {error}; waiting", err=True)
            answering = False
        else:
            if not answering:
                click.echo("the store answers again", err=True)
            answering, cursor = True, found.cursor
            for each in found.found:
                _print(console, *each, as_json)
        time.sleep(POLL_SECONDS)


def _print(console: Console, cursor: str, transition: Transition, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(history.event(cursor, transition)))
        return
    at = datetime.fromtimestamp(transition.at).strftime("%Y-%m-%d %H:%M:%S")
    line = Text.assemble(f"{at}  ", (transition.check, "bold"), "  ")
    line.append(coloured(transition.old, transition.old)).append(" → ").append(coloured(transition.new, transition.new))
    console.print(line.append(f"  {(transition.reason or '').replace('_', ' ')}".rstrip()))
    console.file.flush()
