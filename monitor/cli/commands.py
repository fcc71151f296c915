"""The command table. A command's module is imported when that command runs, not when another one does."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "up": ("monitor.cli.up", "Everything on this machine: embedded Redis, worker, beat and web."),
    "web": ("monitor.cli.roles", "Serve the probe endpoints."),
    "worker": ("monitor.cli.roles", "Run the checks that beat asks for."),
    "beat": ("monitor.cli.roles", "Say when each check is due."),
    "sidecar": ("monitor.cli.sidecar", "The Kafka consumer probe, as one light process tree."),
    "check": ("monitor.cli.check", "Run checks here and now, without Redis."),
    "status": ("monitor.cli.status", "Show the latest snapshot."),
    "workers": ("monitor.cli.workers", "Show who consumes what, and who does not."),
    "history": ("monitor.cli.history", "Show what became of a check."),
    "events": ("monitor.cli.events", "Show what changed, and follow it."),
    "silence": ("monitor.cli.alerts", "Tell nobody for a while that a check fails."),
    "silences": ("monitor.cli.alerts", "List the silences in force."),
    "unsilence": ("monitor.cli.alerts", "End a silence."),
    "open": ("monitor.cli.access", "Print a link to the dashboard, for one use."),
    "token": ("monitor.cli.access", "Print the bearer token, for curl."),
    "store": ("monitor.cli.store", "Make the store this project's."),
    "probe": ("monitor.cli.probe", "Ask a probe endpoint, or whether this machine's workers are alive."),
    "config": ("monitor.cli.config", "Show the effective configuration and where it came from."),
}

_ATTRIBUTES = {"open": "open_page"}


class Commands(click.Group):
    """A group that knows its commands' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), _ATTRIBUTES.get(cmd_name, cmd_name))
        assert isinstance(command, click.Command)  # noqa: S101  (narrows the type; a table row that is wrong fails its test)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="celery-health-monitor", prog_name="monitor")
def cli() -> None:
    """Health monitor for Django + Celery + Redis: beat runs the checks, probes only read."""
