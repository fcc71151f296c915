"""The command line. This file imports next to nothing: ``monitor probe`` passes through it every few seconds."""

import importlib
import os
import sys


def main() -> None:
    """The console script ``monitor``. Ends the process with the command's exit code."""
    # As celery, gunicorn and uvicorn do: a project's settings and checks are found where the command is given.
    if os.getcwd() not in sys.path:  # noqa: PTH109  (pathlib is a tenth of what a probe may cost)
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    if sys.argv[1:2] == ["probe"]:
        sys.exit(importlib.import_module("monitor.cli.probe").main(sys.argv[2:]))
    importlib.import_module("monitor.cli.commands").cli(prog_name="monitor")
