"""``python -m matrix [CELL...] [--record]``: resolve, install and run each cell, and print its outcome."""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from matrix import environments, smoke
from matrix.cells import Cell, cells

PAGE = environments.ROOT / "docs/versions.md"
MARK = "<!-- the outcome of `make matrix RECORD=1` follows -->"
SHOWN = ("celery", "kombu", "redis", "django", "pydantic", "structlog")


@dataclass(frozen=True)
class Outcome:
    """Outcome of one cell: the chosen versions, and what failed."""

    cell: Cell
    versions: dict[str, str]
    failure: str | None
    seconds: float

    def row(self) -> str:
        """Return the row of the table in the documentation."""
        numbers = [self.versions.get(name, "") for name in SHOWN]
        failure = (self.failure or "passed").partition("\n")[0]
        return f"| {' | '.join([self.cell.name, self.cell.python, *numbers, failure])} |"


def main() -> None:
    """Run the cells whose names match. Exit with 1 if one of them fails."""
    parser = argparse.ArgumentParser(prog="python -m matrix", description="Which versions work, tried out.")
    parser.add_argument("patterns", nargs="*", metavar="CELL", help="names or patterns, such as 'django*' (all)")
    parser.add_argument("--record", action="store_true", help=f"write the outcome into {PAGE.name}")
    options = parser.parse_args()
    pythons = environments.pythons()
    patterns = options.patterns or ["*"]
    chosen = [cell for cell in cells(pythons) if any(fnmatch.fnmatchcase(cell.name, each) for each in patterns)]
    if options.record and options.patterns:
        parser.error("record all cells, or none")
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="matrix-") as directory:
        wheel = environments.build_wheel(Path(directory) / "wheel")
        for number, cell in enumerate(chosen):
            outcomes.append(_outcome(cell, pythons, wheel, Path(directory) / str(number)))
            print(outcomes[-1].row(), f"{outcomes[-1].seconds:.0f} s", flush=True)
            if outcomes[-1].failure:
                print(outcomes[-1].failure, flush=True)
    if options.record:
        _record(outcomes)
    failed = [outcome for outcome in outcomes if outcome.failure and outcome.cell.python in pythons]
    print(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed or not outcomes else 0)


def _outcome(cell: Cell, pythons: dict[str, str], wheel: Path, directory: Path) -> Outcome:
    started, versions, failure = time.monotonic(), {}, None
    directory.mkdir()
    try:
        if cell.python not in pythons:
            raise smoke.Broken(f"not run: there is no Python {cell.python} here")
        python = pythons[cell.python]
        versions = environments.resolve(
            cell.extras, cell.requirements, constraints=cell.pins, lowest=cell.lowest, python=python
        )
        smoke.run(environments.create(directory / "environment", wheel, versions, python=python), directory)
    except (smoke.Broken, environments.Failed) as error:
        failure = str(error)
    return Outcome(cell, versions, failure, time.monotonic() - started)


def _record(outcomes: list[Outcome]) -> None:
    before = PAGE.read_text().partition(MARK)[0]
    head = ["| cell | Python | " + " | ".join(SHOWN) + " | outcome |", "| --- " * (len(SHOWN) + 3) + "|"]
    PAGE.write_text("\n".join([before + MARK, "", *head, *(outcome.row() for outcome in outcomes), ""]))


if __name__ == "__main__":
    main()
