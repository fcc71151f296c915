"""Lists ``monitor probe`` beside the other commands; the work is in ``monitor.cli.probe``, which needs none of this."""

from __future__ import annotations

import sys

import click

from monitor.cli import probe as light


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def probe(arguments: tuple[str, ...]) -> None:
    """Ask a probe endpoint: exit 0 when it answers 2xx in time, else 1. Or `worker`: the workers of this machine."""
    sys.exit(light.main(arguments))
