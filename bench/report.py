"""What a measurement has to say: tables, and claims with the value that was wanted. As text and as Markdown."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console
from rich.table import Table as RichTable

_COMPARE = {"at least": operator.ge, "at most": operator.le}


@dataclass(frozen=True)
class Table:
    """Rows of text under a title. The first column is words, the others are numbers."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, *cells: str | float) -> None:
        """Append a row; numbers are written with three significant digits."""
        self.rows.append(tuple(cell if isinstance(cell, str) else number(cell) for cell in cells))


@dataclass(frozen=True)
class Claim:
    """A promise as a number: ``value`` should be ``at least`` or ``at most`` the ``wanted`` one."""

    text: str
    value: float
    bound: Literal["at least", "at most"]
    wanted: float
    unit: str = "x"

    @property
    def holds(self) -> bool:
        return bool(_COMPARE[self.bound](self.value, self.wanted))

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "MISSED"
        return f"{self.text}: {number(self.value)} {self.unit} (wanted: {self.bound} {number(self.wanted)}; {verdict})"


@dataclass(frozen=True)
class Report:
    """One benchmark's outcome. ``method`` says in a paragraph how it was measured."""

    title: str
    method: str
    tables: Sequence[Table]
    claims: Sequence[Claim] = ()
    notes: Sequence[str] = ()

    def show(self, console: Console) -> None:
        """Print it for a person."""
        console.rule(f"[bold]{self.title}")
        console.print(self.method, style="dim")
        for table in self.tables:
            rich = RichTable(title=table.title, title_justify="left", box=None, header_style="bold", pad_edge=False)
            for place, column in enumerate(table.columns):
                rich.add_column(column, justify="right" if place else "left")
            for row in table.rows:
                rich.add_row(*row)
            console.print(rich)
        for claim in self.claims:
            console.print(f"  {claim}", style="green" if claim.holds else "bold red", highlight=False)
        for note in self.notes:
            console.print(f"  {note}", highlight=False)

    def markdown(self) -> str:
        """The same for the documentation."""
        blocks = [self.method]
        for table in self.tables:
            rule = "|".join([" --- ", *[" ---: "] * (len(table.columns) - 1)])
            lines = [f"| {' | '.join(row)} |" for row in (table.columns, *table.rows)]
            blocks += [f"**{table.title}**", "\n".join([lines[0], f"|{rule}|", *lines[1:]])]
        points = [str(claim) for claim in self.claims] + list(self.notes)
        if points:
            blocks.append("\n".join(f"- {point}" for point in points))
        return "\n\n".join(blocks)


def number(value: float) -> str:
    """Three significant digits, thousands apart; words for what is no number."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "never"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest rank in an ordered sequence; NaN when it is empty."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else math.nan
