"""The command line. This file imports next to nothing: ``monitor probe`` passes through it every few seconds."""

import os
import sys

TYPE_CHECKING = False  # typing, too, is more than a probe needs
if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """The console script ``monitor``. Ends the process with the command's exit code."""
    if sys.argv[1:2] == ["probe"]:
        code = run_probe(sys.argv[2:])
        sys.stdout.flush()
        os._exit(code)  # an orderly exit takes as long as all that was done
    # As celery, gunicorn and uvicorn do: a project's settings and checks are found where the command is given.
    if os.getcwd() not in sys.path:  # noqa: PTH109  (pathlib is a tenth of what a probe may cost)
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    from monitor.cli.commands import cli  # noqa: PLC0415

    cli(prog_name="monitor")


def run_probe(arguments: "Sequence[str]") -> int:
    """Run ``monitor probe``, print one line, and return the exit code: 0 passed, 1 failed, 2 a wrong command line."""
    if list(arguments[:1]) == ["worker"]:
        from monitor.cli import probe_worker  # noqa: PLC0415 - without an HTTP client, which is more than all of it

        return probe_worker.main(arguments[1:])
    from monitor.cli import probe_url  # noqa: PLC0415

    return probe_url.main(arguments)
