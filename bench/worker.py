"""``python -m bench.worker [--pool P] [--concurrency N]``: ``monitor worker``, knowing one more task, a no-op.

It is the command itself, so the worker is the one that users run; only the pool can be another.
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
    options = parser.parse_args()
    from monitor.celery_app import app

    app.task(noop, name=NOOP, ignore_result=True, acks_late=False)
    start = app.start

    def start_with_pool(argv: list[str]) -> Any:
        others = [argument for argument in argv if not argument.startswith("--pool")]
        return start(argv=[*others, f"--pool={options.pool}"])

    app.start = start_with_pool
    roles.worker.main(["--concurrency", options.concurrency], prog_name="bench.worker")


if __name__ == "__main__":
    main()
