"""``python -m soak.answers [SERVER...] [--only NAME...] [--rounds 3] [--record]``: every answer that is not a result.

Worker, beat and web run on a real server, which is made to refuse (``tests/support/refusals.py``), and is repaired:
several times, a few seconds each. No role may end, each names the reason once, and all work again within 5 s.
``tests/system/store/test_refusals.py`` plays each answer once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from soak import report
from tests.support.processes import wait_for
from tests.support.rabbitmq_server import RabbitServer
from tests.support.refusals import REFUSALS, Refusal, Refusing, lines_naming, refusing, seconds_until_it_works
from tests.support.roles import Monitor

SERVERS = ("redis", "rabbitmq")
REFUSED_SECONDS = 6.0
"""How long a server refuses: longer than the longest wait between two attempts, and until checks are stale."""

MOST_SECONDS = 5.0
LIMIT_SECONDS = 60.0
HEAD = ("answer", "fault", "`redis` says", "lines in the log", "works again after", "right")


@dataclass(frozen=True)
class Answered:
    """What came of one answer: lines by role, the seconds of each round until a new result, and roles that ended."""

    refusal: Refusal
    shown: str
    lines: dict[str, int]
    seconds: Sequence[float]
    ended: Sequence[str]

    @property
    def is_right(self) -> bool:
        """Whether no role ended, one at least named the reason, and all worked again in time."""
        named = sum(self.lines.values()) > 0
        return not self.ended and named and max(self.seconds) <= MOST_SECONDS

    def row(self) -> tuple[str, ...]:
        """The line of the table."""
        lines = ", ".join(f"{role} {count}" for role, count in self.lines.items() if count)
        times = ", ".join(f"{seconds:.1f}" for seconds in self.seconds) + " s"
        right = "yes" if self.is_right else f"NO {' '.join(self.ended)}".rstrip()
        return self.refusal.answer, self.refusal.name, self.shown, lines or "none", times, right


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the answers of the servers; print, and perhaps record, what came of them. 0 when all was right."""
    parser = argparse.ArgumentParser(prog="python -m soak.answers", description=__doc__)
    parser.add_argument("servers", nargs="*", metavar="SERVER", help=f"which (all): {', '.join(SERVERS)}")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="faults by name; nothing is recorded")
    parser.add_argument("--rounds", type=int, default=3, help="how often each server refuses and is repaired")
    parser.add_argument("--record", action="store_true", help=f"write the outcome into {report.FILE.name}")
    options = parser.parse_args(arguments)
    if unknown := set(options.servers) - set(SERVERS):
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    if unknown := set(options.only) - {refusal.name for refusal in REFUSALS}:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    right = True
    for server in options.servers or SERVERS:
        chosen = [
            each for each in REFUSALS if each.broker == server and (not options.only or each.name in options.only)
        ]
        answered = _all(chosen, options.rounds)
        right = right and all(each.is_right for each in answered)
        if options.record and not options.only:
            rows = [HEAD, tuple("---" for _ in HEAD), *(each.row() for each in answered)]
            report.record(f"answers {server}", "\n".join(f"| {' | '.join(row)} |" for row in rows))
    return 0 if right else 1


def _all(refusals: Sequence[Refusal], rounds: int) -> list[Answered]:
    servers: list[RabbitServer] = []

    def rabbit() -> RabbitServer:
        if not servers:
            servers.append(RabbitServer())
        return servers[0]

    found = []
    try:
        for refusal in refusals:
            with (
                tempfile.TemporaryDirectory(prefix="answers-") as directory,
                refusing(refusal, Path(directory), rabbit) as (rig, monitor),
            ):
                found.append(_play(refusal, rig, monitor, rounds))
            print("  ".join(found[-1].row()), flush=True)
    finally:
        for server in servers:
            server.stop()
    return found


def _play(refusal: Refusal, rig: Refusing, monitor: Monitor, rounds: int) -> Answered:
    names = ("worker", "beat", "web")
    roles = dict(zip(names, monitor.all_roles(), strict=True))
    monitor.wait_for_results("one", seconds=LIMIT_SECONDS)
    seconds, shown, lines = [], "-", {}
    for number in range(rounds):
        refusal.refuse(rig)
        time.sleep(REFUSED_SECONDS)
        if number == 0:
            lines = {name: len(lines_naming(refusal, role.logs())) for name, role in roles.items()}
            shown = _shown(monitor)
        seconds.append(_recovery(refusal, rig, monitor))
    ended = [name for name, role in roles.items() if role.status != "running"]
    return Answered(refusal, shown, lines, seconds, ended)


def _recovery(refusal: Refusal, rig: Refusing, monitor: Monitor) -> float:
    """The seconds until there is a new result, and web has it."""
    started = time.monotonic()
    seconds_until_it_works(refusal, rig, monitor, limit=LIMIT_SECONDS)
    wait_for(lambda: monitor.get("ready")[0] == 200, seconds=LIMIT_SECONDS, every=0.02, what="ready")
    return time.monotonic() - started


def _shown(monitor: Monitor) -> str:
    """Status and reason of the check that watches the store."""
    check = monitor.get("detailed")[1]["checks"]["redis"]
    return f"{check['status']} {check.get('reason') or ''}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
