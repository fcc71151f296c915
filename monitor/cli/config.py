"""``monitor config``: what is in force, and where each value came from."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor import wiring
from monitor.cli.config_loading import load_or_exit
from monitor.cli.options import config_option
from monitor.config.describe import SettingRow, describe
from monitor.config.model import DEFAULT_ORIGIN

_TABLES = ("checks.", "groups.", "channels.", "maintenance.")
_ALWAYS_SHOWN = ("kind", "interval", "timeout", "groups", "stale")


@click.command()
@config_option
def config(config: Path | None) -> None:
    """Show the effective configuration: each value, and where it came from. Secrets are masked.

    Exit code 2, and all that is wrong, when it cannot be used.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("key", "value", "from"):
        table.add_column(heading, overflow="fold")
    configured = os.environ.get("MONITOR_REDIS_URL")
    # `monitor up` brings a Redis where none is configured: here, too, its absence is no error.
    load_or_exit(config, fallback_url=lambda _: "redis://127.0.0.1:6379/0")
    if not configured:
        os.environ.pop("MONITOR_REDIS_URL", None)
    for row in filter(_is_shown, describe(wiring.read(config))):
        style = "dim" if row.origin == DEFAULT_ORIGIN else ""
        table.add_row(Text(row.key), Text(row.value), Text(row.origin), style=style)
    Console().print(table)


def _is_shown(row: SettingRow) -> bool:
    """Every setting; of what has a name what was said, and what decides when it runs."""
    said = row.origin != DEFAULT_ORIGIN
    return said or not row.key.startswith(_TABLES) or row.key.rpartition(".")[2] in _ALWAYS_SHOWN
