"""Table of commands. The module of a command is imported only when that command runs."""

from __future__ import annotations

import importlib
import os
from typing import Any

import click
from click_didyoumean import DYMGroup

from monitor.lib import extras

COMMANDS = {
    "up": ("monitor.cli.up", "Run everything on this machine: embedded Redis, worker, beat and web."),
    "web": ("monitor.cli.roles", "Serve the probe endpoints."),
    "worker": ("monitor.cli.roles", "Run the checks that beat dispatches."),
    "beat": ("monitor.cli.roles", "Dispatch each check when it is due."),
    "sidecar": ("monitor.cli.sidecar", "Run the Kafka consumer probe beside a consumer."),
    "check": ("monitor.cli.check", "Run checks once on this machine, without a store."),
    "status": ("monitor.cli.status", "Show the latest snapshot."),
    "workers": ("monitor.cli.workers", "Show the workers and queues, each with its verdict."),
    "history": ("monitor.cli.history", "Show the history of a check: its status and its numbers."),
    "events": ("monitor.cli.events", "Show the last changes of status, and new ones as they occur."),
    "silence": ("monitor.cli.alerts", "Send no notices of a check's failures for a while."),
    "silences": ("monitor.cli.alerts", "List the silences that have not ended."),
    "unsilence": ("monitor.cli.alerts", "End a silence."),
    "open": ("monitor.cli.access", "Print a one-time link to the dashboard."),
    "token": ("monitor.cli.access", "Print the bearer token, for curl."),
    "store": ("monitor.cli.store", "Change the project that owns the store."),
    "probe": ("monitor.cli.probe", "Probe an endpoint, or the workers or roles on this machine."),
    "uninstall": ("monitor.cli.uninstall", "List or remove everything that the monitor has stored."),
    "config": ("monitor.cli.config", "Show the effective configuration and the source of each value."),
}

NEEDS = {"sidecar": "kafka", "probe": None}
"""Extras that commands need. All other commands need ``server``."""
SUGGESTED = {"up": "embedded"}
"""Extras that are named if the extra that a command needs is missing, when it is another one."""
WITHOUT_PROJECT = frozenset({"sidecar", "probe"})
"""Commands that never read the project's settings. The project of the consumer is not installed beside a sidecar."""

_ATTRIBUTES = {"open": "open_page"}


class _MissingExtraError(click.ClickException):
    exit_code = 2  # as for an invalid configuration: nothing was started


class Commands(DYMGroup):  # type: ignore[misc]
    """Group of commands. Names and summaries come from ``COMMANDS``, so the help imports no module of a command.

    For an unknown command, the error names similar commands.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        if (extra := NEEDS.get(cmd_name, "server")) is not None:
            extras.require(extra, f"monitor {cmd_name}", suggested=SUGGESTED.get(cmd_name))
        if cmd_name not in WITHOUT_PROJECT:
            _begin_import()
        module, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), _ATTRIBUTES.get(cmd_name, cmd_name))
        assert isinstance(command, click.Command)  # noqa: S101  (narrows the type; a test covers every row of the table)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. If an extra is missing, print the command that installs it, and exit with 2."""
        try:
            return super().invoke(ctx)
        except extras.MissingExtra as error:
            raise _MissingExtraError(str(error)) from error


def _begin_import() -> None:
    """Begin to import the project's settings, if there is a project, at the same time as the command's module."""
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        importlib.import_module("monitor.project.reader").project_reader.begin()


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="celery-health-monitor", prog_name="monitor")
def cli() -> None:
    """Health monitor for Django + Celery + Redis: beat runs the checks, probes only read."""
