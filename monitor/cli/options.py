"""Options that several commands have."""

from __future__ import annotations

import os
from pathlib import Path

import click


def remember_file(file: Path | None) -> Path | None:
    """Make a file given on the command line the one that every process below this one reads."""
    if file is not None:
        os.environ["MONITOR_CONFIG"] = str(file.resolve())
    return file


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The configuration file (default: $MONITOR_CONFIG).",
    callback=lambda _context, _option, value: remember_file(value),
)
