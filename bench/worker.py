"""``python -m bench.worker [--pool P] [--concurrency N] [--queues Q]``: ``monitor worker`` with one task more, a no-op.

It is the command itself, so the worker is the one that users run; only the pool and the queues can be others.
"""

from __future__ import annotations

import argparse
from typing import Any

from monitor.cli import roles

NOOP = "bench.noop"


def noop() -> None:
    """Do nothing."""


def main() -> None:
    """Work until told to end."""
    parser = argparse.ArgumentParser(prog="python -m bench.worker", description=__doc__)
    parser.add_argument("--pool", default="threads")
    parser.add_argument("--concurrency", default="16")
    parser.add_argument("--queues")
    options = parser.parse_args()
    instead = [f"--pool={options.pool}", *([f"--queues={options.queues}"] if options.queues else [])]
    from monitor.standalone.celery_app import app

    app.task(noop, name=NOOP, ignore_result=True, acks_late=False)
    start = app.start

    def start_otherwise(argv: list[str]) -> Any:
        replaced = {argument.partition("=")[0] for argument in instead}
        return start(argv=[*(argument for argument in argv if argument.partition("=")[0] not in replaced), *instead])

    app.start = start_otherwise
    roles.worker.main(["--concurrency", options.concurrency], prog_name="bench.worker")


if __name__ == "__main__":
    main()
