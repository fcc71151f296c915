"""``python -m bench.serve MODULE:APPLICATION --port N``: serve it as ``monitor web`` serves ours.

It is the command itself, with another application put in: the same server with the same settings, by construction.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable
from typing import Any

from monitor.cli import roles

_VARIABLE = "BENCH_APPLICATION"


def load_application() -> Callable[..., Any]:
    """The application, in the server process."""
    module, _, attribute = os.environ[_VARIABLE].partition(":")
    application: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return application


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="python -m bench.serve", description=__doc__)
    parser.add_argument("application", metavar="MODULE:APPLICATION")
    parser.add_argument("--port", required=True)
    options = parser.parse_args()
    os.environ[_VARIABLE] = options.application
    roles.load_application = load_application
    roles.web.main(["--port", options.port], prog_name="bench.serve")


if __name__ == "__main__":
    main()
