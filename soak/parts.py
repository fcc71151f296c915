"""``python -m soak.parts [NAME...]``: the parts of the soak by name, one after the other; all of them without a name.

A name is a part, or a case of the faults. Nothing else is run, so `make soak ARGS="poison"` takes minutes, not hours.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from soak.cases import CASES

OLD_PYTHON = ".venv/.celery-5.4/bin/python"
FAULTS = "faults"


@dataclass(frozen=True)
class Part:
    """One part: its module and arguments, what records its outcome, what it needs, and the workers' interpreter."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    record: tuple[str, ...] = ("--record",)
    needs: str = "redis-server"
    python: str | None = None

    def command(self, *, cases: Iterable[str] = (), minutes: str = "30", record: bool = False) -> list[str]:
        """What is run."""
        filled = [argument.format(minutes=minutes) for argument in self.arguments]
        filled += ["--python", self.python] if self.python else []
        return [sys.executable, "-m", self.module, *filled, *(self.record if record else ()), *cases]


PARTS: tuple[Part, ...] = (
    Part(FAULTS, "soak", record=("--record", "faults")),
    Part(
        "faults-5.4", "soak", record=("--record", "faults-5.4"), needs="redis-server, an old Celery", python=OLD_PYTHON
    ),
    Part("changing", "soak", ("--changing", "{minutes}"), record=("--record", "changing")),
    Part("poison", "soak.poison"),
    Part("answers", "soak.answers", needs="redis-server, rabbitmq-server"),
    Part("connections", "soak.connections"),
    Part("stacks", "soak.stacks", needs="root, docker.io, docker-compose, debootstrap"),
)
"""In the order in which they are played."""


def selected(names: Sequence[str]) -> list[tuple[Part, tuple[str, ...]]]:
    """The parts of these names, each with its cases; all when there are no names. Raises ValueError for an unknown one.

    Cases by name are played on either Celery, as in the whole.
    """
    known, cases = {part.name for part in PARTS}, {case.name for case in CASES}
    if unknown := [name for name in names if name not in known | cases]:
        parts, faults = ", ".join(part.name for part in PARTS), ", ".join(sorted(cases))
        raise ValueError(f"no such part: {', '.join(unknown)}; there are: {parts}; and cases of the faults: {faults}")
    asked = tuple(name for name in names if name in cases)
    found = []
    for part in PARTS:
        if not names or part.name in names:
            found.append((part, ()))
        elif asked and part.module == "soak" and not part.arguments:
            found.append((part, asked))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; 0 when all of them ended with 0."""
    table = "; ".join(f"{part.name} (needs {part.needs})" for part in PARTS)
    parser = argparse.ArgumentParser(prog="python -m soak.parts", description=__doc__, epilog=f"Parts: {table}.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="parts, or cases of the faults (all parts)")
    parser.add_argument("--minutes", default="30", help="of the fleet in which nothing is wrong")
    parser.add_argument("--record", action="store_true", help="keep the outcomes in docs/soak.md")
    options = parser.parse_args(arguments)
    try:
        chosen = selected(options.names)
    except ValueError as error:
        parser.error(str(error))
    failed = [part.name for part, cases in chosen if not _run(part, cases, options)]
    print(f"failed: {', '.join(failed)}" if failed else "all right", flush=True)
    return 1 if failed else 0


def _run(part: Part, cases: tuple[str, ...], options: argparse.Namespace) -> bool:
    print(f"== {part.name} {' '.join(cases)}".rstrip(), flush=True)
    if part.python and not Path(part.python).exists():
        print(f"missing: {part.python} (see `make soak`)", flush=True)
        return False
    if importlib.util.find_spec(part.module) is None:
        print(f"missing: {part.module}", flush=True)
        return False
    # Some cases are not the record of all of them.
    command = part.command(cases=cases, minutes=options.minutes, record=options.record and not cases)
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
