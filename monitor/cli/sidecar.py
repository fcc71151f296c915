"""``monitor sidecar``: the Kafka consumer probe. Without Redis it is one process; with Redis it runs three roles."""

from __future__ import annotations

import importlib
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import click

from monitor import wiring
from monitor.cli.config_loading import load_or_exit, problems_text
from monitor.cli.options import config_option, valid_host
from monitor.config import Config, ConfigError, ConfigProblem, probe_environment
from monitor.config.model import READY
from monitor.project.discovery import VARIABLE as DJANGO

WRONG_CONFIGURATION = 2


@click.command()
@click.option(
    "--host",
    callback=valid_host,
    help="Address to listen on (default: the setting sidecar.host, else $BIND_HOST, else 0.0.0.0).",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on (default: the setting sidecar.port, else 9011)."
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Without Redis: directory in which the memories of checks are stored, so that they survive a restart "
    "(default: data_dir; if that is not set, a restart loses them).",
)
@config_option
def sidecar(host: str | None, port: int | None, data_dir: Path | None, config: Path | None) -> None:
    """Run the Kafka consumer probe beside a consumer.

    In addition to the usual configuration, the variables KAFKA_GROUP, KAFKA_BROKERS, PROMETHEUS_URL, ... are read.
    Without a Redis URL, one process runs the checks and keeps their results in memory. With a Redis URL, a worker and
    beat run the checks, and Redis stores the results.
    """
    probe_environment.mark_as_sidecar(os.environ)
    os.environ.pop(DJANGO, None)  # may be set for the consumer in the same pod; its project is not installed here
    loaded = load_or_exit(config)
    settings = loaded.config
    if not settings.members(READY):
        # Without checks the probe would always pass.
        hint = 'has no checks, so /ready could never fail; set KAFKA_GROUP, or set groups = ["ready"] in a check'
        problem = ConfigProblem("groups.ready", None, hint)
        click.echo(problems_text(ConfigError([problem])), err=True)
        sys.exit(WRONG_CONFIGURATION)
    if loaded.origin(f"checks.{probe_environment.CHECK}.prometheus_url") == probe_environment.OLDER_PROBE_LABEL:
        _log_defaults(settings)
    host, port = host or settings.sidecar.host, settings.sidecar.port if port is None else port
    if settings.redis_url is None:
        _run_single_process(settings, host, port, data_dir or settings.data_dir)
    else:
        _run_roles(settings, host, port)


def _log_defaults(settings: Config) -> None:
    logs = _module("monitor.lib.logs")
    logs.configure(settings.log_format, settings.log_level)
    hint = "no group is configured, so defaults are used; to watch another group, set KAFKA_GROUP and its source: "
    hint += "KAFKA_BROKERS or PROMETHEUS_URL"
    logs.get_logger("monitor.sidecar").warning(
        "sidecar.defaults_taken", **probe_environment.OLDER_PROBE_DEFAULTS, hint=hint
    )


def _run_single_process(settings: Config, host: str, port: int, data_dir: Path | None) -> None:
    # Imported by name, because the import contracts forbid `monitor.cli` to import `monitor.sidecar`.
    server, memories = _module("monitor.sidecar.server"), _module("monitor.sidecar.memories")
    try:
        _module("monitor.sidecar.single_process").run(settings, host, port, data_dir)
    except server.CannotListen as error:
        raise click.ClickException(_port_problem(host, port) or str(error)) from error
    except memories.CannotKeep as error:
        raise click.ClickException(str(error)) from error


def _port_problem(host: str, port: int) -> str | None:
    """Return why the server cannot listen on the address, or None if it can now."""
    from monitor.supervisor.preflight import CannotStart, listen_address  # noqa: PLC0415 - takes 4 MB

    try:
        listen_address(host, port)
    except CannotStart as error:
        return str(error)
    return None


def _run_roles(settings: Config, host: str, port: int) -> None:
    from monitor.lib import logs  # noqa: PLC0415 - this and the next five are needed with Redis only
    from monitor.supervisor import preflight  # noqa: PLC0415
    from monitor.supervisor.children import Role  # noqa: PLC0415
    from monitor.supervisor.output import Output  # noqa: PLC0415
    from monitor.supervisor.readiness import base_url  # noqa: PLC0415
    from monitor.supervisor.role_file import RoleFile  # noqa: PLC0415
    from monitor.supervisor.supervisor import Supervisor  # noqa: PLC0415

    os.environ.update(wiring.store_environment(settings))
    os.environ[DJANGO] = "monitor.settings"
    logs.configure(settings.log_format, settings.log_level)
    output = Output()
    try:
        address, port = preflight.listen_address(host, port)
        environment = {"PYTHONUNBUFFERED": "1", **output.environment}
        commands = [("monitor.sidecar", address, str(port)), ("monitor", "worker"), ("monitor", "beat")]
        roles = [Role(_role_name(words), (sys.executable, "-m", *words), environment) for words in commands]
        role_file = RoleFile("sidecar", f"{base_url(address, port)}/health")
        Supervisor(None, roles, secrets.token_hex(16), output).run(lambda: True, role_file.write_if_due)
    except preflight.CannotStart as error:
        raise click.ClickException(str(error)) from error


def _role_name(words: tuple[str, ...]) -> str:
    """Return the name of a role: its `monitor` command, or the last name in the path of its module."""
    return words[1] if words[0] == "monitor" else words[0].rpartition(".")[2]


def _module(name: str) -> Any:
    return importlib.import_module(name)
