"""``monitor up``: runs the embedded Redis and the roles, and prints a line when all checks have a result."""

from __future__ import annotations

import os
import secrets
import sys
import time
from pathlib import Path

import click

from monitor.cli.access import PAGE, link, provide_token
from monitor.cli.config_loading import load_or_exit
from monitor.cli.data_dir import data_dir_of, data_dir_option
from monitor.cli.options import config_option
from monitor.cli.roles import LIVENESS_PATH, host_option, port_option
from monitor.config import Config, standalone
from monitor.lib import logs
from monitor.project.discovery import OBSERVED_VARIABLE
from monitor.supervisor import embedded, preflight, readiness
from monitor.supervisor.children import Role
from monitor.supervisor.output import Output
from monitor.supervisor.preflight import CannotStart
from monitor.supervisor.role_file import RoleFile
from monitor.supervisor.supervisor import Supervisor

FIRST_SNAPSHOT_SECONDS = 30.0
STORAGE_SECONDS = 3.0
OWN_DATABASE = "monitor.sqlite3"  # empty file; `monitor.settings` watches it if no database is configured


@click.command()
@host_option
@port_option
@data_dir_option
@click.option(
    "--redis-url",
    help="URL of a Redis to use instead of the embedded Redis (default: $MONITOR_REDIS_URL, else redis_url).",
)
@config_option
def up(host: str | None, port: int | None, data_dir: Path | None, redis_url: str | None, config: Path | None) -> None:
    """Run the embedded Redis, a worker, beat and web on this machine, until Ctrl-C."""
    started_at = time.monotonic()
    if redis_url:
        os.environ["MONITOR_REDIS_URL"] = redis_url
    embedded_directories: list[Path] = []

    def use_embedded(settings: Config) -> str:
        embedded_directories.append(data_dir_of(settings, data_dir))
        return embedded.server_url(embedded_directories[0])

    settings = load_or_exit(config, fallback_url=use_embedded).config
    directory = data_dir_of(settings, data_dir)
    os.environ["MONITOR_DATA_DIR"] = str(directory)
    mark = secrets.token_hex(16)
    logs.configure(settings.log_format, settings.log_level)
    output = Output()
    try:
        host = host or settings.web.host
        address, port = preflight.listen_address(host, settings.web.port if port is None else port)
        with preflight.lock(directory, mark):
            (directory / OWN_DATABASE).touch(0o600)
            if settings.project is None:
                standalone.read_or_create(directory)  # now, so that all roles read the same project name
            server = embedded.server_role(directory) if embedded_directories else None
            supervisor = Supervisor(server, _roles(host, port, output), mark, output)
            _announce(output, server is not None, directory)
            token = provide_token(settings, directory)
            first_snapshot = FirstSnapshot(address, port, supervisor, output, started_at=started_at, token=token)
            storage = StorageGuard(embedded.socket_path(directory), output) if embedded_directories else None
            role_file = RoleFile("up", readiness.base_url(address, port) + LIVENESS_PATH)

            def tick() -> None:
                role_file.write_if_due()
                first_snapshot.tick()
                if storage is not None:
                    storage.tick()

            supervisor.run(lambda: embedded.responds(embedded.socket_path(directory)), tick)
    except CannotStart as error:
        raise click.ClickException(str(error)) from error


class StorageGuard:
    """Guard that keeps the embedded server accepting writes while its disk is full."""

    def __init__(self, path: Path, output: Output) -> None:
        self._path = path
        self._output = output
        self._next_at = 0.0

    def tick(self) -> None:
        """Check the server, at most once every ``STORAGE_SECONDS``. Called several times a second."""
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + STORAGE_SECONDS
        if (changed := embedded.keep_writable(self._path)) is not None:
            text = (
                "cannot write its file: it keeps its data in memory only"
                if changed == "off"
                else "writes its file again"
            )
            self._output.event("up.storage", f"the embedded Redis {text}", file=changed)


class FirstSnapshot:
    """Reporter of the first snapshot in which every check has a result.

    If there is no such snapshot after ``FIRST_SNAPSHOT_SECONDS``, the reporter names the missing results, once.
    """

    def __init__(
        self,
        address: str,
        port: int,
        supervisor: Supervisor,
        output: Output,
        *,
        started_at: float,
        token: str | None,
    ) -> None:
        self._token = token
        self._address = address
        self._port = port
        self._supervisor = supervisor
        self._output = output
        self._started_at = started_at
        self._is_complete = False
        self._has_warned = False

    def tick(self) -> None:
        """Request the status of all checks, until each check has a result. Called several times a second."""
        if self._is_complete:
            return
        view = readiness.fetch_readiness(self._address, self._port)
        took_seconds = round(time.monotonic() - self._started_at, 1)
        if view is not None and not view.unobserved:
            self._is_complete = True
            self._report(view, took_seconds)
        elif took_seconds > FIRST_SNAPSHOT_SECONDS and not self._has_warned:
            self._has_warned = True
            self._warn(view)

    def _report(self, view: readiness.ReadinessView, took_seconds: float) -> None:
        base = readiness.base_url(self._address, self._port)
        readiness_text = "ready" if view.ready else "running, but not ready"
        text = [f"{readiness_text} after {took_seconds} s: {len(view.checks)} checks observed"]
        text += [f"  {name}: {status}" for name, status in view.not_ok.items()]
        text += [*self._page(base), f"JSON: {base}/api/health/detailed/", "Ctrl-C ends everything"]
        for line in text if self._output.terminal else ["; ".join(text[:1])]:
            self._output.event(
                "up.ready",
                line,
                url=base,
                ready=view.ready,
                troubled=dict(view.not_ok),
                seconds=took_seconds,
            )

    def _page(self, base: str) -> list[str]:
        if self._token is None:
            return [f"open {base}/{PAGE}"]
        return [
            f"open {link(base, self._token)}",
            "     (works once, within 10 minutes; `monitor open` prints a new link)",
        ]

    def _warn(self, view: readiness.ReadinessView | None) -> None:
        reasons = [f"{name} {exits}" for name, exits in self._supervisor.exited_children.items()]
        if view is None:
            reasons.append("web does not answer")
        elif view.unobserved:
            reasons.append(f"not observed yet: {', '.join(view.unobserved)}")
        text = f"no complete snapshot within {FIRST_SNAPSHOT_SECONDS:g} s ({'; '.join(reasons)}); still trying"
        self._output.event("up.no_snapshot", text, reasons=reasons)


def _announce(output: Output, has_server: bool, directory: Path) -> None:
    """Print what starts now, and how long it takes. Only on a terminal: a log has the events of the roles."""
    if output.terminal:
        server = f"Redis (its data is in {_short(directory)}), " if has_server else ""
        output.line("monitor", f"starting {server}worker, beat and web")
        output.line("monitor", "the first results follow in a few seconds")


def _short(directory: Path) -> str:
    """Return a path relative to the working directory, if it is below it."""
    return str(directory.relative_to(Path.cwd())) if directory.is_relative_to(Path.cwd()) else str(directory)


def _roles(host: str, port: int, output: Output) -> list[Role]:
    monitor_command = (sys.executable, "-m", "monitor")
    environment = {"PYTHONUNBUFFERED": "1", **output.environment}
    commands = {
        "worker": ("worker",),
        "beat": ("beat",),
        "web": ("web", "--host", host, "--port", str(port)),
    }
    worker_environment = {"worker": {OBSERVED_VARIABLE: "1"}}
    return [
        Role(name, (*monitor_command, *arguments), {**environment, **worker_environment.get(name, {})})
        for name, arguments in commands.items()
    ]
