"""The past as CSV, for a spreadsheet that believes in formulas."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from monitor.api.history import tables

BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n")


def rows(text: str) -> list[list[str]]:
    """The cells."""
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("begins", BEGINNINGS)
def test_no_text_is_a_formula(begins: str) -> None:
    """In any cell and in any heading of any table."""
    text = f"{begins}cmd|' /C calc'!A0"
    event: dict[str, Any] = {
        "cursor": "1-0",
        "id": text,
        "check": text,
        "old": "ok",
        "new": "error",
        "at": 1.0,
        "reason": text,
    }
    [_, found] = rows(tables.events({"events": [event]}))
    assert [cell for cell in found if text in cell] == [f"'{text}"] * 3

    window = {"since": 1, "seconds": dict.fromkeys(("ok", "warning", "error", "unknown", "unobserved"), 0)}
    window |= dict.fromkeys(("availability", "incidents", "mttr_seconds", "mtbf_seconds"))
    [_, found] = rows(tables.uptime({"until": 2, "checks": {text: {"windows": {text: window}}}}))
    assert found[:2] == [f"'{text}"] * 2

    curve = {"min": [1], "mean": [1], "max": [1]}
    [heads, found] = rows(tables.history({"times": [1], "status": [text], "series": {text: curve}}))
    assert heads[3:] == [f"'{text}_min", f"'{text}_mean", f"'{text}_max"]
    assert found[2] == f"'{text}"


def test_numbers_are_numbers() -> None:
    """A negative one too: nothing is put in front."""
    curve = {"min": [-1.5], "mean": [-1], "max": [0.0]}
    [_, found] = rows(tables.history({"times": [1], "status": ["ok"], "series": {"drift": curve}}))
    assert found[2:] == ["ok", "-1.5", "-1", "0.0"]
