"""``monitor config``: the effective configuration, and the source of each value."""

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
    """Show the effective configuration: each value and its source. Secrets are shown as ***.

    If the configuration is invalid, print all problems instead. The exit code is then 2.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("key", "value", "from"):
        table.add_column(heading, overflow="fold")
    configured = os.environ.get("MONITOR_REDIS_URL")
    # Validated with a made-up Redis URL: `monitor up` needs no configured URL, so a missing URL is not reported here.
    load_or_exit(config, fallback_url=lambda _: "redis://127.0.0.1:6379/0")
    if not configured:
        os.environ.pop("MONITOR_REDIS_URL", None)
    for row in filter(_is_shown, describe(wiring.load_unvalidated(config), wiring.secret_options)):
        style = "dim" if row.origin == DEFAULT_ORIGIN else ""
        table.add_row(Text(row.key), Text(row.value), Text(row.origin), style=style)
    Console().print(table)


def _is_shown(row: SettingRow) -> bool:
    """Return whether to show a row.

    Each row is shown, except for defaults in ``_TABLES``. Of these, only the rows in ``_ALWAYS_SHOWN`` are shown.
    """
    is_configured = row.origin != DEFAULT_ORIGIN
    return is_configured or not row.key.startswith(_TABLES) or row.key.rpartition(".")[2] in _ALWAYS_SHOWN
