"""Command line. This module imports little, so that ``monitor probe``, which runs every few seconds, starts fast."""

import os
import sys

TYPE_CHECKING = False  # without `from typing import TYPE_CHECKING`, which would slow a probe down
if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """Run the console script ``monitor`` and end the process with the command's exit code."""
    if sys.argv[1:2] == ["probe"]:
        code = run_probe(sys.argv[2:])
        sys.stdout.flush()
        os._exit(code)  # skips the interpreter's shutdown, which takes as long as the probe
    # As in celery, gunicorn and uvicorn, modules in the working directory can be imported, such as Django settings.
    if os.getcwd() not in sys.path:  # noqa: PTH109  (importing pathlib takes a tenth of a probe's time)
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    from monitor.cli.commands import cli  # noqa: PLC0415

    cli(prog_name="monitor")


def run_probe(arguments: "Sequence[str]") -> int:
    """Run ``monitor probe``, print one line, and return the exit code: 0 passed, 1 failed, 2 invalid arguments."""
    if list(arguments[:1]) == ["worker"]:
        from monitor.cli import probe_worker  # noqa: PLC0415 - without the HTTP client, which is slow to import

        return probe_worker.main(arguments[1:])
    if list(arguments[:1]) == ["role"]:
        from monitor.cli import probe_role  # noqa: PLC0415

        return probe_role.main(arguments[1:])
    from monitor.cli import probe_url  # noqa: PLC0415

    return probe_url.main(arguments)
