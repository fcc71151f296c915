"""``monitor sidecar``: the Kafka consumer probe, in one process without Redis, by the usual roles with it."""

from __future__ import annotations

import importlib
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import click
import structlog

from monitor import wiring
from monitor.cli.options import config_option
from monitor.cli.problems import in_words, load_or_exit
from monitor.config import Config, ConfigError, ConfigProblem, probe_environment
from monitor.config.model import READY
from monitor.project import VARIABLE as DJANGO

WRONG_CONFIGURATION = 2


@click.command()
@click.option("--host", help="The address to listen on (default: sidecar.host, $BIND_HOST, 0.0.0.0).")
@click.option("--port", type=click.IntRange(0, 65535), help="The port (default: sidecar.port, 9011).")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Without Redis: where what the checks remember is kept over a restart (default: nowhere).",
)
@config_option
def sidecar(host: str | None, port: int | None, data_dir: Path | None, config: Path | None) -> None:
    """The Kafka consumer probe, as one light process tree.

    Reads KAFKA_GROUP, KAFKA_BROKERS, PROMETHEUS_URL, ... besides the usual configuration. Without a Redis URL all is
    in one process and in memory; with one, worker and beat do the work.
    """
    probe_environment.mark_as_sidecar(os.environ)
    os.environ.pop(DJANGO, None)  # of the consumer it is beside, maybe, whose project is not here
    loaded = load_or_exit(config)
    settings = loaded.config
    if not settings.members(READY):
        # Nothing can fail then: it would be healthy for ever.
        hint = 'has no checks, and is what /ready tells of; set KAFKA_GROUP, or give checks groups = ["ready"]'
        problem = ConfigProblem("groups.ready", None, hint)
        click.echo(in_words(ConfigError([problem])), err=True)
        sys.exit(WRONG_CONFIGURATION)
    if loaded.origin(f"checks.{probe_environment.CHECK}.prometheus_url") == probe_environment.NOTHING_GIVEN_LABEL:
        _log_defaults(settings)
    host, port = host or settings.sidecar.host, settings.sidecar.port if port is None else port
    try:
        if settings.redis_url is None:
            _alone(settings, host, port, data_dir or settings.data_dir)
        else:
            _with_roles(settings, host, port)
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error}; install it with: pip install 'celery-health-monitor[kafka]'") from error


def _log_defaults(settings: Config) -> None:
    logs = _module("monitor.lib.logs")
    logs.configure(settings.log_format, settings.log_level)
    hint = "nothing is configured: set KAFKA_GROUP and KAFKA_BROKERS, or PROMETHEUS_URL, to watch another group"
    structlog.get_logger("monitor.sidecar").warning(
        "sidecar.defaults_taken", **probe_environment.NOTHING_GIVEN, hint=hint
    )


def _alone(settings: Config, host: str, port: int, data_dir: Path | None) -> None:
    # By name: what serves probes and what runs checks do not know one another, but where a process is put together.
    server, memories = _module("monitor.sidecar.server"), _module("monitor.sidecar.memories")
    try:
        _module("monitor.sidecar.single_process").run(settings, host, port, data_dir)
    except server.CannotListen as error:
        raise click.ClickException(_why_not(host, port) or str(error)) from error
    except memories.CannotKeep as error:
        raise click.ClickException(str(error)) from error


def _why_not(host: str, port: int) -> str | None:
    """Why an address cannot be listened on, in words; who it was that took it may just have left."""
    from monitor.supervisor.preflight import CannotStart, check_port  # noqa: PLC0415 - 4 MB, and only in trouble

    try:
        check_port(host, port)
    except CannotStart as error:
        return str(error)
    return None


def _with_roles(settings: Config, host: str, port: int) -> None:
    from monitor.lib import logs  # noqa: PLC0415 - all of it for this case alone
    from monitor.supervisor import preflight  # noqa: PLC0415
    from monitor.supervisor.children import Role  # noqa: PLC0415
    from monitor.supervisor.output import Output  # noqa: PLC0415
    from monitor.supervisor.supervisor import Supervisor  # noqa: PLC0415

    os.environ.update(wiring.store_environment(settings))
    os.environ[DJANGO] = "monitor.settings"
    logs.configure(settings.log_format, settings.log_level)
    output = Output()
    try:
        address, port = preflight.check_port(host, port)
        environment = {"PYTHONUNBUFFERED": "1"} | ({"MONITOR_LOG_FORMAT": "console"} if output.terminal else {})
        commands = [("monitor.sidecar", address, str(port)), ("monitor", "worker"), ("monitor", "beat")]
        roles = [Role(_name(words), (sys.executable, "-m", *words), environment) for words in commands]
        Supervisor(None, roles, secrets.token_hex(16), output).run(lambda: True, lambda: None)
    except preflight.CannotStart as error:
        raise click.ClickException(str(error)) from error


def _name(words: tuple[str, ...]) -> str:
    """What a role is called: the last word of its module, or the command."""
    return words[1] if words[0] == "monitor" else words[0].rpartition(".")[2]


def _module(name: str) -> Any:
    return importlib.import_module(name)
