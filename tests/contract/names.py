"""The only names of the inside of the package that these tests use. All else goes through public doors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def web() -> Callable[..., Any]:
    """Return the WSGI application of our own server."""
    from monitor.standalone.wsgi import application

    return application


def sidecar() -> Callable[..., Any]:
    """Return the sidecar's WSGI application, over the same snapshot as :func:`web`."""
    from monitor.api.service import service
    from monitor.sidecar.application import Application

    return Application(service())


def commands() -> click.Group:
    """Return the command line."""
    from monitor.cli.commands import cli

    return cli


def end_check_processes() -> None:
    """End the check processes that the tasks of this process have started."""
    from monitor import wiring

    wiring.runtime().executor.close()
