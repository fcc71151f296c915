"""Keeps the last recorded outcome of each benchmark in the documentation, between markers."""

from __future__ import annotations

import re
from pathlib import Path

from bench.report import Report

FILE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def write(name: str, report: Report, machine: str) -> None:
    """Replace what is recorded for ``name``. Raises ValueError when the document has no place for it."""
    begin, end = f"<!-- recorded: {name} -->", "<!-- end -->"
    text = FILE.read_text()
    replaced, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}",
        lambda _: f"{begin}\n{report.markdown()}\n\nMeasured {machine}.\n{end}",
        text,
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"{FILE} has {count} places for {name!r}: {begin} ... {end}")
    FILE.write_text(replaced)
