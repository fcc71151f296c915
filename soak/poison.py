"""``python -m soak.poison [--only KIND...] [--seed N] [--quick] [--record]``: poison in the store, and fuzzed requests.

A running set of the product gets 2,725 poisoned values of 24 kinds into its Redis, and 20,000 odd requests. After each
kind every subsystem must do something new within one interval: run checks, judge the worker, deliver an alert, pack
history, answer queries. No role may end, no process grow beyond 200 MB, no answer be a 500 or unparsable.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import redis

from soak import poison_requests, report
from soak.poison_broken import Templates
from soak.poison_proof import SUBSYSTEMS
from soak.poison_set import INTERVAL_SECONDS, SLACK_SECONDS, PoisonSet, too_large
from soak.poison_values import KINDS, Kind

REQUESTS = "requests"
REQUESTS_SENT, QUICK_REQUESTS = 20_000, 500
HEAD = ("kind", "values", *SUBSYSTEMS, "largest process", "right")
SHOWN = 5
"""Failures of one kind that are shown: one cause makes many."""


@dataclass(frozen=True)
class Outcome:
    """What one kind of poison did: how long each subsystem needed for something new, and what was wrong."""

    kind: str
    values: int
    seconds: dict[str, float | None]
    largest: str
    wrong: tuple[str, ...]

    @property
    def row(self) -> tuple[str, ...]:
        """A row of the table."""
        times = ("-" if name not in self.seconds else _time(self.seconds[name]) for name in SUBSYSTEMS)
        return (self.kind, str(self.values), *times, self.largest, "NO" if self.wrong else "yes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the kinds and the requests; print, and perhaps record, what came of them. 0 when all was right."""
    names = [*(kind.name for kind in KINDS), REQUESTS]
    parser = argparse.ArgumentParser(prog="python -m soak.poison", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="KIND", help=f"which (all): {', '.join(names)}")
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--number", type=int, nargs="+", help="only the values or requests of these numbers")
    parser.add_argument("--quick", action="store_true", help=f"one value of each kind, {QUICK_REQUESTS} requests")
    parser.add_argument("--logs", action="store_true", help="print what the processes have logged when a kind fails")
    parser.add_argument("--record", action="store_true", help=f"write the outcome into {report.FILE.name}")
    options = parser.parse_args(arguments)
    chosen = options.only or names
    if unknown := set(chosen) - set(names):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    outcomes = play(options, [name for name in names if name in chosen])
    right = not any(outcome.wrong for outcome in outcomes)
    about = (
        f"Seed {options.seed}; interval {INTERVAL_SECONDS:g} s; {sum(o.values for o in outcomes)} values and requests."
    )
    table = [HEAD, *(outcome.row for outcome in outcomes)]
    lines = ["| " + " | ".join(row) + " |" for row in table]
    content = "\n".join([about, "", lines[0], "|" + " --- |" * len(HEAD), *lines[1:]])
    print(content)
    if options.record:
        report.record("poison", content)
    return 0 if right else 1


def play(options: argparse.Namespace, names: Sequence[str]) -> list[Outcome]:
    """The outcome of each kind by name, on one set; a set that a kind has harmed is mended before the next."""
    outcomes = []
    kinds = {kind.name: kind for kind in KINDS}
    with PoisonSet() as stage:
        known = stage.templates()
        stage.take_peaks()
        for name in names:
            of_requests = name == REQUESTS
            outcome = _requests(stage, options) if of_requests else _kind(stage, kinds[name], known, options)
            outcomes.append(outcome)
            print(" ".join(outcome.row), flush=True)
            for line in outcome.wrong[:SHOWN]:
                print(f"    ! {line}", flush=True)
            if outcome.wrong and options.logs:
                print(stage.logs(), flush=True)
            if (outcome.wrong or name.startswith("huge")) and not options.quick:
                stage.heal()
                stage.proof(3 * INTERVAL_SECONDS)
        if options.quick:
            outcomes.append(_judged(stage, "each once", 0, [], options))
    return outcomes


def _kind(stage: PoisonSet, kind: Kind, known: Templates, options: argparse.Namespace) -> Outcome:
    numbers = options.number or range(1 if options.quick else kind.values)
    wrong: list[str] = []
    asked_at = 0.0
    for number in numbers:
        rng = random.Random(f"{options.seed}:{kind.name}:{number}")
        for command in kind.make(rng, known):
            with contextlib.suppress(redis.RedisError):  # of another type by now, or too old a stream id
                stage.client.execute_command(*command)
        if time.monotonic() - asked_at > 1:  # while they are fresh, and once more below
            wrong += [f"{kind.name} to {number}: {line}" for line in stage.ask_all()]
            asked_at = time.monotonic()
    if options.quick:  # the subsystems are judged once, after the last kind
        return Outcome(kind.name, len(numbers), {}, "-", tuple(wrong + stage.ended()))
    return _judged(stage, kind.name, len(numbers), wrong, options)


def _requests(stage: PoisonSet, options: argparse.Namespace) -> Outcome:
    numbers = options.number or range(QUICK_REQUESTS if options.quick else REQUESTS_SENT)
    answered = poison_requests.play(stage.monitor.port, options.seed, numbers)
    print(dict(answered.statuses.most_common()), flush=True)
    if options.quick:
        return Outcome(REQUESTS, len(numbers), {}, "-", tuple(answered.wrong + stage.ended()))
    return _judged(stage, REQUESTS, len(numbers), answered.wrong, options)


def _judged(stage: PoisonSet, name: str, values: int, wrong: list[str], options: argparse.Namespace) -> Outcome:
    seconds = stage.proof(INTERVAL_SECONDS + SLACK_SECONDS)
    late = [subsystem for subsystem, needed in seconds.items() if needed is None]
    wrong += [f"{subsystem} stood still for more than one interval" for subsystem in late]
    wrong += stage.ask_all() + stage.ended()
    peaks = stage.take_peaks()
    wrong += too_large(peaks)
    if wrong:
        wrong.append(f"again: python -m soak.poison --only {name} --seed {options.seed}")
    largest = max(peaks.items(), key=lambda item: item[1], default=("", 0.0))
    return Outcome(name, values, seconds, f"{largest[0]} {largest[1]:.0f} MB", tuple(dict.fromkeys(wrong)))


def _time(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"


if __name__ == "__main__":
    sys.exit(main())
