"""``monitor config``: what is in force, and where each value came from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor import wiring
from monitor.cli.problems import load_or_exit
from monitor.cli.roles import config_option
from monitor.config import CheckSpec, GroupSpec, Loaded
from monitor.config.keys import setting_keys
from monitor.config.loading import DEFAULT_ORIGIN
from monitor.config.redaction import mask

_ALWAYS_SHOWN = ("kind", "interval", "timeout", "groups")


class Row(NamedTuple):
    """One value that is in force. Secrets in it are masked."""

    key: str
    value: Any
    origin: str


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
    for row in effective(wiring.read(config)):
        style = "dim" if row.origin == DEFAULT_ORIGIN else ""
        table.add_row(Text(row.key), Text(_text(row.value)), Text(row.origin), style=style)
    Console().print(table)


def effective(loaded: Loaded) -> Iterator[Row]:
    """Every setting, then for every check and group what it was given and what decides when it runs."""
    for key in setting_keys():
        value = reduce(getattr, key.attributes, loaded.config)
        yield _row(loaded, key.dotted, key.path[-1], value)
    for check in loaded.config.checks.values():
        yield from _table(loaded, f"checks.{check.name}", check, _ALWAYS_SHOWN)
        for option, value in check.options.items():
            yield _row(loaded, f"checks.{check.name}.{option}", option, value)
    for group in loaded.config.groups.values():
        yield from _table(loaded, f"groups.{group.name}", group, ("stale",))


def _table(loaded: Loaded, prefix: str, spec: CheckSpec | GroupSpec, always: tuple[str, ...]) -> Iterator[Row]:
    for name, field in type(spec).model_fields.items():
        key = field.alias or name
        dotted = f"{prefix}.{key}"
        if key not in ("name", "options") and (key in always or loaded.origin(dotted) != DEFAULT_ORIGIN):
            yield _row(loaded, dotted, key, getattr(spec, name))


def _row(loaded: Loaded, dotted: str, name: str, value: Any) -> Row:
    return Row(dotted, mask(value, name), loaded.origin(dotted))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
