"""``monitor store take-over``: makes this project the owner of the store."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click_didyoumean import DYMGroup

from monitor import wiring
from monitor.cli.config_loading import exit_with, load_with_store_or_exit
from monitor.cli.data_dir import data_dir_option, running_url
from monitor.cli.options import config_option
from monitor.config import ConfigProblem
from monitor.ports.store import StoreUnavailable

GROUP: type[click.Group] = DYMGroup
"""Class of a group that names similar commands for an unknown one. It has no types of its own."""


@click.group(cls=GROUP)
def store() -> None:
    """Change the project that owns the store."""


@store.command("take-over")
@config_option
@data_dir_option
def take_over(config: Path | None, data_dir: Path | None) -> None:
    """Make this project the owner of the store, even if another project owns it now.

    Use this after a project was renamed, or to use the store of another project. The roles of the previous owner stop
    work within 5 seconds. The roles of this project start work within 10 seconds. Exit code: 0, or 1 if the store does
    not answer.
    """
    loaded = load_with_store_or_exit(config, lambda settings: running_url(settings, data_dir))
    project = wiring.identity(loaded, data_dir=data_dir)
    if not project.name:
        exit_with(
            ConfigProblem(
                "project",
                None,
                "is required by this command; set MONITOR_PROJECT to the project name that the roles have",
            )
        )
    try:
        previous_owner = wiring.build_store(loaded).ownership.take_over(project)
    except StoreUnavailable as error:
        click.echo(f"the store does not answer: {error}", err=True)
        sys.exit(1)
    has_changed = previous_owner is not None and previous_owner.name != project.name
    previous_text = f" (before: {previous_owner.name!r})" if previous_owner is not None and has_changed else ""
    click.echo(f"the store belongs to the project {project.name!r}{previous_text}")
