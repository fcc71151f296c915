"""``monitor probe`` as a command for the help. ``monitor.cli.main`` runs a probe without importing this module."""

from __future__ import annotations

import sys

import click

from monitor.cli import run_probe


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def probe(arguments: tuple[str, ...]) -> None:
    """Probe an endpoint: exit 0 if it responds with 2xx in time, else 1. Or `worker`: the workers of this machine."""
    sys.exit(run_probe(arguments))
