"""Lists ``monitor probe`` beside the other commands; when it runs alone, nothing of this is imported."""

from __future__ import annotations

import sys

import click

from monitor.cli import run_probe


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def probe(arguments: tuple[str, ...]) -> None:
    """Ask a probe endpoint: exit 0 when it answers 2xx in time, else 1. Or `worker`: the workers of this machine."""
    sys.exit(run_probe(arguments))
