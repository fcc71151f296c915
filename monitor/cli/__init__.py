"""The command line. This file imports next to nothing: ``monitor probe`` passes through it every few seconds."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> None:
    """The console script ``monitor``. Ends the process with the command's exit code."""
    # As celery, gunicorn and uvicorn do: a project's settings and checks are found where the command is given.
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    if sys.argv[1:2] == ["probe"]:
        sys.exit(importlib.import_module("monitor.cli.probe").main(sys.argv[2:]))
    importlib.import_module("monitor.cli.commands").cli(prog_name="monitor")
