"""History responses as CSV (RFC 4180), with one line for each point, window or event.

A text that a spreadsheet would interpret as a formula gets an apostrophe in front, which marks it as text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monitor.presentation.states import iso_milliseconds

MEDIA_TYPE = "text/csv; charset=utf-8"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters of a formula (OWASP, "CSV injection"), with their full-width forms."""


def history(document: Mapping[str, Any]) -> str:
    """Return a history as CSV: time, worst status, and three columns for each series."""
    series = document["series"]
    heads = [f"{name}_{figure}" for name in series for figure in ("min", "mean", "max")]
    columns = [series[name][figure] for name in series for figure in ("min", "mean", "max")]
    rows = zip(document["times"], map(iso_milliseconds, document["times"]), document["status"], *columns, strict=True)
    return _text(["at", "time", "status", *heads], rows)


def uptime(document: Mapping[str, Any]) -> str:
    """Return the windows of an uptime response as CSV."""
    words = ("ok", "warning", "error", "unknown", "unobserved")
    figures = ("availability", "incidents", "mttr_seconds", "mtbf_seconds")
    heads = ["check", "window", "since", "until", *(f"{word}_seconds" for word in words), *figures]
    return _text(
        heads,
        (
            [check, name, window["since"], document["until"]]
            + [window["seconds"][word] for word in words]
            + [window[key] for key in figures]
            for check, entry in document["checks"].items()
            for name, window in entry["windows"].items()
        ),
    )


def events(document: Mapping[str, Any]) -> str:
    """Return events as CSV."""
    heads = ["cursor", "id", "check", "old", "new", "at", "time", "reason"]
    return _text(
        heads,
        ([({**event, "time": iso_milliseconds(event["at"])})[head] for head in heads] for event in document["events"]),
    )


def _text(heads: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(map(_escaped, heads))
    writer.writerows(map(_escaped, row) for row in rows)
    return out.getvalue()


def _escaped(cell: Any) -> Any:
    """Return the cell; a text that a spreadsheet would interpret as a formula gets an apostrophe in front."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
