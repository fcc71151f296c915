"""``python -m soak [CASE...] [--interval 5] [--python PATH] [--record NAME]``, and ``--changing MINUTES``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from soak import changing, report
from soak.cases import CASES, Case, stage_queues
from soak.nodes import PYTHON
from soak.play import Outcome, play
from soak.stage import Stage

SIDE_BY_SIDE = 6
"""Cases on one monitor at a time: this many pairs of workers leave a machine of two processors some air."""


def main() -> int:
    """Play the cases, print and record what came of them; 0 when all are right."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="CASE", help=f"which to play (all): {', '.join(names)}")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between heartbeats")
    parser.add_argument("--python", type=Path, default=PYTHON, help="the interpreter of the user's workers")
    parser.add_argument("--side-by-side", type=int, default=SIDE_BY_SIDE, help="cases on one monitor at a time")
    parser.add_argument("--changing", type=float, metavar="MINUTES", help="instead: a fleet that changes all the time")
    parser.add_argument("--seed", type=int, default=20, help="of what happens to that fleet")
    parser.add_argument("--record", metavar="NAME", help=f"write the outcome into {report.FILE.name}, at this place")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    about = f"Interval {options.interval:g} s; workers on {_versions(options.python)}."
    print(about, flush=True)
    if options.changing:
        lines, right = changing.run(options.changing, options.interval, options.python, seed=options.seed)
        content = "\n".join(lines)
    else:
        chosen = [case for case in CASES if case.name in options.names or not options.names]
        outcomes = [outcome for batch in _batches(chosen, options.side_by_side) for outcome in _play(batch, options)]
        content, right = report.markdown(outcomes), all(outcome.is_right for outcome in outcomes)
        print(report.text(outcomes))
    if options.record:
        report.record(options.record, f"{about}\n\n{content}")
    return 0 if right else 1


def _play(batch: list[Case], options: argparse.Namespace) -> list[Outcome]:
    print(f"... {', '.join(case.name for case in batch)}", flush=True)
    own_broker = any(case.own_broker for case in batch)
    queues = stage_queues(batch)
    with Stage(options.interval, queues=queues, python=options.python, own_broker=own_broker) as stage:
        outcomes = play(stage, batch)
    print(report.text(outcomes), flush=True)
    return outcomes


def _batches(cases: list[Case], size: int) -> list[list[Case]]:
    together = [case for case in cases if not case.alone]
    batches = [together[start : start + size] for start in range(0, len(together), size)]
    return [*batches, *([case] for case in cases if case.alone)]


def _versions(python: Path) -> str:
    code = "import celery, kombu, redis, platform as p; "
    code += "print(f'Celery {celery.__version__}, kombu {kombu.__version__}, redis-py {redis.__version__}, ', end='')"
    code += "; print(f'Python {p.python_version()}')"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
