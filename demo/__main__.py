"""``python -m demo``: see `demo.tree`."""

from __future__ import annotations

import click

from demo import tree
from monitor.supervisor.preflight import CannotStart


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="The port (default: 8000, or any that is free).")
@click.option("--seed", default=11, show_default=True, help="Another past.")
@click.option(
    "--incident-in", default=60.0, show_default=True, help="Seconds from the start to the incident; may be negative."
)
def main(port: int | None, seed: int, incident_in: float) -> None:
    """A monitor with a made-up past and present, on this machine, until Ctrl-C."""
    try:
        tree.run(port, seed=seed, incident_in=incident_in)
    except CannotStart as error:
        raise click.ClickException(str(error)) from error


main()
