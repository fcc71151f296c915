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


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Path of the configuration file (default: $MONITOR_CONFIG).",
    callback=lambda _context, _option, value: set_config_file(value),
)
