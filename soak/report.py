"""Outcomes as a table: for the terminal, and for the documentation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from soak.play import Measured, Outcome

FILE = Path(__file__).parents[1] / "docs" / "soak.md"
HEAD = ("fault", "pool", "said of whom", "after", "well again after", "right")


def rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """One row for each outcome."""
    return [_row(outcome) for outcome in outcomes]


def text(outcomes: Sequence[Outcome]) -> str:
    """The table, in columns, with what is wrong below each row."""
    table = [HEAD, *rows(outcomes)]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    for index, outcome in reversed(list(enumerate(outcomes, 1))):
        lines[index + 1 : index + 1] = [f"    ! {line}" for line in outcome.wrong()]
    return "\n".join(lines)


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The table for a document."""
    table = [HEAD, *rows(outcomes)]
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return "\n".join([lines[0], "|" + " --- |" * len(HEAD), *lines[1:]])


def record(name: str, content: str) -> None:
    """Replace what is recorded under ``name``. Raises ValueError when the document has no place for it."""
    begin, end = f"<!-- recorded: {name} -->", "<!-- end -->"
    pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
    replaced, count = re.subn(pattern, lambda _: f"{begin}\n{content}\n{end}", FILE.read_text(), flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{FILE} has {count} places for {name!r}: {begin} ... {end}")
    FILE.write_text(replaced)


def _row(outcome: Outcome) -> tuple[str, ...]:
    case = outcome.case
    said = "; ".join(f"{_short(m.check, case.name)} {m.verdict}" for m in outcome.detected) or "no alarm"
    return (
        case.title,
        case.pool,
        said,
        _times(outcome.detected, outcome.interval),
        _times(outcome.recovered, outcome.interval),
        "yes" if outcome.is_right else "NO",
    )


def _times(measured: Sequence[Measured], interval: float) -> str:
    def one(m: Measured) -> str:
        return "never" if m.seconds is None else f"{m.seconds:.1f} s ({m.seconds / interval:.1f} T)"

    return "; ".join(map(one, measured)) or "-"


def _short(check: str, case: str) -> str:
    kind, _, target = check.partition(":")
    return f"{kind} {target.removeprefix(f'{case}.').partition('@')[0]}"
