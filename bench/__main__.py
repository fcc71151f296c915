"""``python -m bench [NAME...] [--quick] [--record]``."""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from rich.console import Console

from bench import machine, record
from bench.scale import Scale

NAMES = (
    "serving",
    "peers",
    "checks",
    "roster",
    "scheduling",
    "probes_under_load",
    "worker_probe",
    "agent_overhead",
    "fleet",
    "sidecar",
    "kafka_groups",
    "history",
    "page",
    "roles",
)


def main() -> None:
    """Run what was named, or all, one after the other; print each report when it is there."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="What the promises cost, measured.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run (all): {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="short runs, to see that they work")
    parser.add_argument("--record", action="store_true", help=f"write the outcome into {record.FILE.name}")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    if options.quick and options.record:
        parser.error("the numbers of quick runs are not worth recording")
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(machine.describe(), highlight=False)
    for name in options.names or NAMES:
        started_at = time.monotonic()
        report = importlib.import_module(f"bench.{name}").run(Scale(options.quick))
        report.show(console)
        console.print(f"  ({time.monotonic() - started_at:.0f} s)", style="dim")
        if options.record:
            record.write(name, report, machine.describe())


if __name__ == "__main__":
    main()
