"""The command line. This file imports next to nothing: ``monitor probe`` passes through it every few seconds."""

import os
import sys

TYPE_CHECKING = False  # typing, too, is more than a probe needs
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> None:
    """The console script ``monitor``. Ends the process with the command's exit code."""
    if sys.argv[1:2] == ["probe"]:
        _probe()
    # As celery, gunicorn and uvicorn do: a project's settings and checks are found where the command is given.
    if os.getcwd() not in sys.path:  # noqa: PTH109  (pathlib is a tenth of what a probe may cost)
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    from monitor.cli.commands import cli  # noqa: PLC0415

    cli(prog_name="monitor")


def _probe() -> "NoReturn":
    from monitor.cli import probe  # noqa: PLC0415

    code = probe.main(sys.argv[2:])
    sys.stdout.flush()
    os._exit(code)  # an orderly exit takes as long as all that was done
