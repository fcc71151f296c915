"""Access to the store for commands. If the store does not answer, a command prints a message and exits."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from monitor.cli.config_loading import load_with_store_or_exit
from monitor.cli.data_dir import running_url
from monitor.cli.tables import ExitCode
from monitor.config import Config
from monitor.ports.store import StoreUnavailable


def load_with_store(config: Path | None, data_dir: Path | None) -> Config:
    """Return the configuration, or exit with 3 if it is invalid.

    If no Redis URL is configured, use the embedded Redis of a running `monitor up` with the same data directory.
    """
    if data_dir is not None:
        os.environ["MONITOR_DATA_DIR"] = str(data_dir)  # it may contain what the project's Celery application knows
    return load_with_store_or_exit(config, lambda settings: running_url(settings, data_dir), exit_code=ExitCode.UNKNOWN)


@contextmanager
def exit_if_store_unavailable() -> Iterator[None]:
    """Exit with 3 and a message if the ``with`` block raises StoreUnavailable."""
    try:
        yield
    except StoreUnavailable as error:
        click.echo(f"the store does not answer: {error}", err=True)
        sys.exit(ExitCode.UNKNOWN)
