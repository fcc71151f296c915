"""Commands that run a role: ``monitor web``, ``monitor worker``, ``monitor beat``."""

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
from monitor.cli.access import provide_token, store_address
from monitor.cli.config_loading import load_for_role_or_exit
from monitor.cli.data_dir import data_dir_of
from monitor.cli.options import config_option, valid_host
from monitor.config import Config
from monitor.lib import logs
from monitor.lib.connection_limit import Bounds, ConnectionGuard, raise_open_file_limit
from monitor.lib.parent_process import end_with_parent
from monitor.services.presence import Presence
from monitor.supervisor.preflight import CannotStart, listen_address
from monitor.supervisor.readiness import base_url
from monitor.supervisor.role_file import RoleFile

CONNECTIONS = 512
"""Limit on the open connections of a server process of `monitor web`. A probe or an open page needs a few."""

BACKLOG = 4096
"""Limit on connections that wait to be accepted. The system may have a lower limit.

Above the limit, the system of the client tries to connect again after a second.
"""

LIVENESS_PATH = "/api/health/live/"

host_option = click.option(
    "--host", callback=valid_host, help="Address to listen on (default: the setting web.host, else 127.0.0.1)."
)
port_option = click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on (default: the setting web.port, else 8000)."
)


@click.command()
@host_option
@port_option
@config_option
def web(host: str | None, port: int | None, config: Path | None) -> None:
    """Serve the probe endpoints, the API and the dashboard."""
    loaded = load_for_role_or_exit(config).config
    # Broker and store URLs from the project's Celery application. The server processes do not import Celery.
    os.environ.update(wiring.store_environment(loaded))
    try:
        address, port = listen_address(host or loaded.web.host, loaded.web.port if port is None else port)
    except CannotStart as error:
        raise click.ClickException(str(error)) from error
    directory = data_dir_of(loaded, None)
    if provide_token(loaded, directory) is not None:
        store_address(directory, base_url(address, port))
    RoleFile("web", base_url(address, port) + LIVENESS_PATH).write_once()
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
    presence = Presence("web", wiring.build_store(loaded, timeout_seconds=1.0).roles)
    presence.start()
    try:
        server.serve(target_loader=functools.partial(_load_guarded, load_application, port, bounds), wrap_loader=False)
    finally:
        presence.end()


@click.command()
@click.option(
    "--concurrency",
    "-c",
    type=click.IntRange(1, 1000),
    help="Number of checks that run at the same time (default: the setting worker_slots).",
)
@config_option
def worker(concurrency: int | None, config: Path | None) -> None:
    """Run the checks that beat dispatches."""
    loaded = load_for_role_or_exit(config).config
    app = _celery_app(loaded)
    queues = dict.fromkeys([loaded.queue, *(entry["options"]["queue"] for entry in app.conf.beat_schedule.values())])
    controller = app.Worker(
        hostname=f"{loaded.queue}@{socket.gethostname()}",
        pool_cls="threads",
        concurrency=concurrency or loaded.worker_slots,
        queues=list(queues),
        # These three send broadcasts to all workers on the broker, which may be shared. The monitor reads none of them.
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
    """Dispatch each check when it is due."""
    app = _celery_app(load_for_role_or_exit(config).config)
    # This scheduler needs no schedule file, because the store keeps the times at which checks are due.
    app.Beat(scheduler="monitor.tasks.beat:DispatchScheduler", quiet=True).run()


def load_application() -> Callable[..., Any]:
    """Return the WSGI application. Make the calling server process end if its parent is killed (Linux only)."""
    end_this_process_with_parent = end_with_parent()
    if end_this_process_with_parent is not None:
        end_this_process_with_parent()
    application: Callable[..., Any] = importlib.import_module("monitor.wsgi").application
    return application


def _load_guarded(load: Callable[[], Callable[..., Any]], port: int, bounds: Bounds) -> Callable[..., Any]:
    """Return the WSGI application. Start the thread that limits the connections of this server process."""
    application = load()
    ConnectionGuard(port, bounds).start()
    return application


def _celery_app(loaded: Config) -> Any:
    """Return the monitor's Celery application, for use without Celery's commands, which would take 7 MB more memory."""
    # Before the import, because Celery logs warnings before it configures logging.
    logs.configure(loaded.log_format, loaded.log_level)
    return importlib.import_module("monitor.celery_app").app
