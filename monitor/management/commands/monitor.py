"""``manage.py monitor``: every command of ``monitor``, with the settings that ``manage.py`` selects."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandError

from monitor.cli import run_probe
from monitor.cli.commands import cli


class Command(BaseCommand):  # type: ignore[misc]
    """Command that passes its arguments to the commands of ``monitor``.

    Django has called ``django.setup()`` before. The command adds none: it reads the settings that Django has loaded. It
    runs no system checks, so that it works while the project has errors.
    """

    help = "Run a command of the monitor, such as `manage.py monitor status`."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's name and type
    requires_migrations_checks = False

    def run_from_argv(self, argv: list[str]) -> None:
        """Run ``argv``, such as ``manage.py monitor status --json``, and end the process with the command's exit code.

        Django has obeyed its options ``--settings`` and ``--pythonpath``. They are obeyed in child processes, too.
        """
        django_options, arguments = _django_parser().parse_known_args(argv[2:])
        _set_python_path(argv[0], django_options.pythonpath)
        if arguments[:1] == ["probe"]:  # without click, which would take the options of a probe for its own
            sys.exit(run_probe(arguments[1:]))
        cli(arguments, prog_name=f"{Path(argv[0]).name} {argv[1]}")

    def print_help(self, prog_name: str, subcommand: str) -> None:
        """Print the help of the commands, for ``manage.py help monitor``."""
        click.echo(cli.get_help(click.Context(cli, info_name=f"{Path(prog_name).name} {subcommand}")))

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add one argument that takes all words, for ``call_command("monitor", "status", "--json")``."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *_: Any, arguments: list[str], **__: Any) -> None:
        """Run the command for ``call_command``. Raise CommandError with the exit code if the code is not 0."""
        try:
            cli(arguments, prog_name="manage.py monitor")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if code:
                words = " ".join(["monitor", *arguments])
                raise CommandError(f"`{words}` ended with the exit code {code}", returncode=code) from None


def _django_parser() -> argparse.ArgumentParser:
    """Return a parser of the two options that Django reads before it looks for the command."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--settings")
    parser.add_argument("--pythonpath")
    return parser


def _set_python_path(program: str, python_path: str | None) -> None:
    """Let child processes import what this process imports: from the directory of ``manage.py``, and ``--pythonpath``.

    Roles and check processes are started with ``python -m``, which knows neither directory.
    """
    directory = str(Path(program).resolve().parent) if program.endswith(".py") else None
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, [python_path, directory, *known])))
