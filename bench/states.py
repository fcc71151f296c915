"""``python -m bench.states --rate N``: give every check of the roster a state, then renew N states a second for ever.

Stands in for beat and workers where only the readers are measured. States are written by the real use case
(`runner.run_check`) into the real store; only the checks themselves are invented.
"""

from __future__ import annotations

import argparse
import itertools
import time

from monitor import wiring
from monitor.config import CheckSpec
from monitor.model.checks import NO_PAST, Outcome, Past, Status
from monitor.services import run_check

# The fields of the documented bodies, so that what is rendered has its usual size.
DATA = {
    "celery": {"pending_tasks": 10},
    "cpu": {"percent": 25.5, "count": 4},
    "memory": {"percent": 60.2, "available_mb": 2048, "total_mb": 8192},
    "disk": {"percent": 45.8, "free_mb": 50000, "total_mb": 100000},
    "connections": {"active_connections": 42},
}


class InventedOutcomes:
    """An executor that runs nothing. Every tenth result of a check is a warning, so that states change, too."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def start(self) -> None:
        """Nothing has to be started."""

    def run(self, check: CheckSpec, past: Past = NO_PAST) -> tuple[Outcome, float]:  # noqa: ARG002
        """An outcome, at once."""
        number = next(self._count)
        data = {**DATA.get(check.kind, {}), "value": number} if check.kind == "python" else DATA.get(check.kind, {})
        return Outcome(Status.WARNING if number % 10 == 0 else Status.OK, data), 1.0 + number % 7


def main() -> None:
    """Seed, then renew until ended."""
    parser = argparse.ArgumentParser(prog="python -m bench.states", description=__doc__)
    parser.add_argument("--rate", type=float, default=100, help="states renewed each second (100)")
    rate = parser.parse_args().rate
    config = wiring.load().config
    store, executor = wiring.build_store(config), InventedOutcomes()
    checks = list(config.checks.values())
    for check in checks:
        run_check.run_check(check, None, store=store.states, executor=executor)
    begin = time.monotonic()
    for number, check in enumerate(itertools.cycle(checks)):
        if (wait := begin + number / rate - time.monotonic()) > 0:
            time.sleep(wait)
        run_check.run_check(check, None, store=store.states, executor=executor)


if __name__ == "__main__":
    main()
