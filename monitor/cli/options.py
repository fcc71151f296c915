"""Options that several commands have."""

from __future__ import annotations

import os
from pathlib import Path

import click


def set_config_file(file: Path | None) -> Path | None:
    """Set the configuration file in the environment, for this process and its child processes."""
    if file is not None:
        os.environ["MONITOR_CONFIG"] = str(file.resolve())
    return file


def valid_host(_context: click.Context, _option: click.Parameter, host: str | None) -> str | None:
    """Return the value of an option ``--host``. Raise BadParameter if it can be neither a host name nor an address."""
    try:
        (host or "").encode("idna")  # as the resolver of the system does
    except UnicodeError as error:
        raise click.BadParameter("should be a host name or an IP address") from error
    return host


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Path of the configuration file (default: $MONITOR_CONFIG).",
    callback=lambda _context, _option, value: set_config_file(value),
)
