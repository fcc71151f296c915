"""Data directory of `monitor up`, and the URL of the embedded server that stores its data in this directory."""

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
    help=f"Directory in which `monitor up` stores its data (default: the setting data_dir, else {DEFAULT}).",
)


def data_dir_of(config: Config, option: Path | None) -> Path:
    """Return ``option``, or else the setting `data_dir`, or else `.monitor` in the working directory."""
    return (option or config.data_dir or DEFAULT).resolve()


def running_url(config: Config, option: Path | None) -> str | None:
    """Return the URL of the embedded server of a `monitor up` that uses the data directory, or None if none runs.

    Return None if another user owns the directory, because the responses of a server there cannot be trusted.
    """
    directory = data_dir_of(config, option)
    if not directory.is_dir() or belongs_to_another(directory):
        return None
    return embedded.server_url(directory) if embedded.responds(embedded.socket_path(directory)) else None
