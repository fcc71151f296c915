"""Data directory of `monitor up`, and the embedded server that runs over it."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.config import Config
from monitor.lib.own_files import belongs_to_another
from monitor.supervisor import embedded

DEFAULT = Path(".monitor")

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Directory in which `monitor up` stores its data (default: data_dir, {DEFAULT}).",
)


def data_dir_of(config: Config, given: Path | None) -> Path:
    """Return the directory as given, or else as configured, or else `.monitor` in the working directory."""
    return (given or config.data_dir or DEFAULT).resolve()


def running_url(config: Config, given: Path | None) -> str | None:
    """Return the URL of the embedded server of a `monitor up` that runs over the data directory, or None.

    Return None also if another user owns the directory: the responses of a server there cannot be trusted.
    """
    directory = data_dir_of(config, given)
    if not directory.is_dir() or belongs_to_another(directory):
        return None
    return embedded.url(directory) if embedded.answers(embedded.socket_path(directory)) else None
