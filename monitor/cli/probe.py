"""Command ``monitor probe`` in the help. ``monitor.cli.main`` runs a probe without importing this module."""

from __future__ import annotations

import sys

import click

from monitor.cli import run_probe


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def probe(arguments: tuple[str, ...]) -> None:
    """Probe an endpoint (URL), or the Celery workers (worker) or the monitor's roles (role) on this machine.

    Exit 0 if the probe passes, else 1.
    """
    sys.exit(run_probe(arguments))
