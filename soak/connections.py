"""``python -m soak.connections [SERVER...] [--seconds 60] [--record]``: crowds of connections at every server of ours.

Each crowd is held for so long; meanwhile live and ready are requested on new connections ten times a second, and each
answer has a second. ``tests/system/lib/connection_limit`` holds the same crowds for a moment.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from soak import report
from tests.support.crowd import SHAPES, Crowd, open_files, probe
from tests.support.listeners import PATHS, Listener, listening

ABOVE = 1000
LIMITS = (None, 256)
MOST_SECONDS = 1.0
HEAD = ("server", "open files", "connections", "kept", "answers", "slowest", "failed", "right")


@dataclass(frozen=True)
class Held:
    """What came of one crowd at one server."""

    role: str
    limit: int | None
    shape: str
    opened: int
    kept: int
    bound: int
    answers: int
    slowest_seconds: float
    failures: Sequence[str]

    @property
    def is_right(self) -> bool:
        """Whether the bound held, and every probe was answered within a second."""
        return self.kept <= self.bound and not self.failures and 0 < self.slowest_seconds <= MOST_SECONDS

    def row(self) -> tuple[str, ...]:
        """The line of the table."""
        crowd = f"{self.opened:,} {self.shape}"
        limit = "as it comes" if self.limit is None else str(self.limit)
        kept = f"{self.kept} of {self.bound}"
        slowest, failed = f"{self.slowest_seconds:.2f} s", str(len(self.failures))
        return self.role, limit, crowd, kept, str(self.answers), slowest, failed, "yes" if self.is_right else "NO"


def main(arguments: Sequence[str] | None = None) -> int:
    """Hold every crowd at every server, print and record what came of it; 0 when all is right."""
    parser = argparse.ArgumentParser(prog="python -m soak.connections", description=__doc__)
    parser.add_argument("servers", nargs="*", metavar="SERVER", help=f"which (all): {', '.join(PATHS)}")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each crowd is held")
    parser.add_argument("--record", action="store_true", help=f"write the outcome into {report.FILE.name}")
    options = parser.parse_args(arguments)
    if unknown := set(options.servers) - set(PATHS):
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    right = True
    for role in options.servers or PATHS:
        found = [held for limit in LIMITS for held in _crowds(role, limit, options.seconds)]
        right = right and all(held.is_right for held in found)
        if options.record:
            rows = [HEAD, tuple("---" for _ in HEAD), *(held.row() for held in found)]
            table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
            report.record(f"connections {role}", f"Each crowd held for {options.seconds:g} s.\n\n{table}")
    return 0 if right else 1


def _crowds(role: str, limit: int | None, seconds: float) -> list[Held]:
    found = []
    with open_files(4096), listening(role, limit) as listener:
        for shape in SHAPES:
            held = _hold(listener, limit, shape, seconds)
            print("  ".join(held.row()), *held.failures[:3], sep="\n    ", flush=True)
            found.append(held)
    return found


def _hold(listener: Listener, limit: int | None, shape: str, seconds: float) -> Held:
    with Crowd(listener.address, listener.bound + ABOVE, shape) as crowd:
        answers = probe(listener.address, PATHS[listener.role], seconds=seconds)
        return Held(
            role=listener.role,
            limit=limit,
            shape=shape,
            opened=crowd.opened,
            kept=listener.connections(),
            bound=listener.bound,
            answers=len(answers.seconds),
            slowest_seconds=max(answers.seconds, default=0.0),
            failures=answers.failures,
        )


if __name__ == "__main__":
    sys.exit(main())
