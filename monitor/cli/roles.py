"""The roles, one process tree each: ``monitor web``, ``monitor worker``, ``monitor beat``."""

from __future__ import annotations

import functools
import importlib
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from monitor import wiring
from monitor.cli.access import provide_token, remember_address
from monitor.cli.config_loading import load_for_role_or_exit
from monitor.cli.data_dir import data_dir_of
from monitor.cli.options import config_option
from monitor.config import Config
from monitor.lib import logs
from monitor.lib.connection_limit import Bounds, ConnectionGuard, raise_open_file_limit
from monitor.lib.parent_process import end_with_parent
from monitor.supervisor.preflight import CannotStart, check_port
from monitor.supervisor.readiness import base_url

CONNECTIONS = 512
"""The most connections that `monitor web` keeps: a few for each probe, scraper and open page."""

BACKLOG = 4096
"""Connections that wait to be accepted; the system may allow fewer. Past it a client tries again after a second."""

host_option = click.option("--host", help="The address to listen on (default: web.host, 127.0.0.1).")
port_option = click.option("--port", type=click.IntRange(0, 65535), help="The port (default: web.port, 8000).")


@click.command()
@host_option
@port_option
@config_option
def web(host: str | None, port: int | None, config: Path | None) -> None:
    """Serve the probe endpoints."""
    loaded = load_for_role_or_exit(config).config
    # What the project's Celery application said is known here; server processes import no Celery to ask it.
    os.environ.update(wiring.store_environment(loaded))
    try:
        address, port = check_port(host or loaded.web.host, loaded.web.port if port is None else port)
    except CannotStart as error:
        raise click.ClickException(str(error)) from error
    home = data_dir_of(loaded, None)
    if provide_token(loaded, home) is not None:
        remember_address(home, base_url(address, port))
    bounds = raise_open_file_limit(CONNECTIONS)
    granian = importlib.import_module("granian")
    server = granian.Granian(
        "monitor.wsgi:application",
        address=address,
        port=port,
        interface="wsgi",
        blocking_threads=4,
        websockets=False,
        backlog=BACKLOG,
        backpressure=bounds.accepted,
        log_level="warning",
        log_dictconfig=logs.dict_config(loaded.log_format, loaded.log_level),
        respawn_failed_workers=True,
        workers_kill_timeout=5,
    )
    server.serve(target_loader=functools.partial(_load_guarded, load_application, port, bounds), wrap_loader=False)


@click.command()
@click.option("--concurrency", "-c", type=click.IntRange(1), help="Checks at the same time (default: worker_slots).")
@config_option
def worker(concurrency: int | None, config: Path | None) -> None:
    """Run the checks that beat asks for."""
    loaded = load_for_role_or_exit(config).config
    app = _celery_app(loaded)
    queues = dict.fromkeys([loaded.queue, *(entry["options"]["queue"] for entry in app.conf.beat_schedule.values())])
    controller = app.Worker(
        hostname=f"{loaded.queue}@{socket.gethostname()}",
        pool_cls="threads",
        concurrency=concurrency or loaded.worker_slots,
        queues=list(queues),
        # Nobody here reads what these three send, and each is a broadcast on a broker that may be somebody's.
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    controller.start()
    sys.exit(controller.exitcode)


@click.command()
@config_option
def beat(config: Path | None) -> None:
    """Say when each check is due."""
    app = _celery_app(load_for_role_or_exit(config).config)
    # When what is due is kept in the store: this scheduler needs no file.
    app.Beat(scheduler="monitor.tasks.beat:DispatchScheduler", quiet=True).run()


def load_application() -> Callable[..., Any]:
    """Return the WSGI application, in a server process, which ends when its supervisor is killed (on Linux)."""
    end = end_with_parent()
    if end is not None:
        end()
    application: Callable[..., Any] = importlib.import_module("monitor.wsgi").application
    return application


def _load_guarded(load: Callable[[], Callable[..., Any]], port: int, bounds: Bounds) -> Callable[..., Any]:
    """Return the application, in a server process whose connections are bounded from here on."""
    application = load()
    ConnectionGuard(port, bounds).start()
    return application


def _celery_app(loaded: Config) -> Any:
    """Return our application. Its commands (`celery.bin`) are not used: importing them takes 7 MB."""
    logs.configure(loaded.log_format, loaded.log_level)  # before Celery does, which warns before it asks
    return importlib.import_module("monitor.celery_app").app
