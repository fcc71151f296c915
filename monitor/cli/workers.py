"""``monitor workers``: who consumes what, and who does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor import wiring
from monitor.cli.data_dir import data_dir_option
from monitor.cli.options import config_option
from monitor.cli.store_access import exit_if_store_unavailable, load_with_store
from monitor.cli.tables import CheckRow, coloured, exit_code
from monitor.model.checks import Status
from monitor.presentation import states

_WORKERS = ("worker", "verdict", "since", "queues", "slots", "oldest", "reserved", "lag", "latency", "pool")
_QUEUES = ("queue", "verdict", "since", "pending", "latency", "workers")
_TEXTS = frozenset({"worker", "queue", "verdict", "queues", "pool"})
_FOLDED = frozenset({"worker", "queue", "queues"})
_LEFT_OUT, _WIDE = frozenset({"reserved", "lag", "pool"}), 100


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON, as /api/health/workers/ has it.")
@config_option
@data_dir_option
def workers(as_json: bool, config: Path | None, data_dir: Path | None) -> None:
    """Show the workers and the queues, each with its verdict.

    Exit code: 0 ok, 1 warning, 2 a worker or a queue is in error or its verdict is out of date, 3 nothing is known (the
    Nagios convention).
    """
    loaded = load_with_store(config, data_dir)
    with exit_if_store_unavailable():
        snapshot = wiring.store(loaded).states.read()
    document = states.workers(snapshot.states, snapshot.read_at)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        _show(document, snapshot.read_at)
    sys.exit(exit_code(_rows(document)))


def _rows(document: Mapping[str, Any]) -> Iterator[CheckRow]:
    """What the exit code is made of. The summary only tells whether anything is known: its parts weigh more."""
    known = Status(document["status"])
    yield CheckRow("workers", known, critical=known is not Status.ERROR)
    for entry in (*document["workers"], *document["queues"]):
        yield CheckRow(entry["check"], Status(entry["status"]))


def _show(document: Mapping[str, Any], now: float) -> None:
    if document["status"] == Status.UNKNOWN:
        click.echo("no worker has been judged yet: do they have `monitor.install(app)`, and is `monitor beat` running?")
    if document["suspended"]:
        click.echo("suspended: while the store or the broker recovers, every worker keeps its last verdict")
    if document["workers"]:
        same, different = _versions(document["workers"])
        _print((*_WORKERS, *different), (_worker(entry, now, different) for entry in document["workers"]))
        if same:
            click.echo(f"everywhere: {', '.join(same)}\n")
        for entry in document["workers"]:
            if len(entry.get("instances") or ()) > 1:
                click.echo(f"{entry['name']} runs more than once: {_instances(entry)}\n")
    if document["queues"]:
        _print(_QUEUES, (_queue(entry, now) for entry in document["queues"]))


def _print(headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """A table that folds names where it is narrow, between words, and there leaves out what is looked at least."""
    console, lines = Console(), list(rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    is_wide = console.width >= _WIDE
    shown = [place for place, name in enumerate(headings) if is_wide or name not in _LEFT_OUT]
    for place in shown:
        name = headings[place]
        words = [word for line in lines for word in str(line[place]).split(", ")]
        table.add_column(
            name,
            justify="left" if name in _TEXTS else "right",
            no_wrap=name not in _FOLDED,
            min_width=min(max(map(len, [name, *words])), 20 if is_wide else 14),
            overflow="fold",
        )
    for line in lines:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in (line[place] for place in shown)))
    console.print(table)


def _worker(entry: Mapping[str, Any], now: float, versions: Iterable[str]) -> list[str | Text]:
    said = entry["versions"] or {}
    return [
        str(entry["name"]),
        _verdict(entry),
        _since(entry, now),
        ", ".join(entry["queues"] or ()),
        "" if entry["slots"] is None else f"{_plain(entry['active'])}/{entry['slots']}",
        _seconds(entry["oldest_task_seconds"]),
        _plain(entry["reserved"]),
        _seconds(entry["loop_lag_seconds"]),
        _milliseconds(entry["latency_ms"]),
        _plain(entry["pool"]),
        *(_plain(said.get(name)) for name in versions),
    ]


def _instances(entry: Mapping[str, Any]) -> str:
    return ", ".join(f"host {each['host']} pid {each['pid']} {each['verdict']}" for each in entry["instances"])


def _queue(entry: Mapping[str, Any], now: float) -> list[str | Text]:
    of = entry["workers"]
    count = len(of) if isinstance(of, Sequence) and not isinstance(of, str) else of
    latency = _milliseconds(entry["latency_ms"])
    return [
        str(entry["name"]),
        _verdict(entry),
        _since(entry, now),
        _plain(entry["pending_tasks"]),
        latency,
        _plain(count),
    ]


def _versions(entries: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """What all workers have, with its version, and the names of what not all have in the same one."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        for name, version in (entry["versions"] or {}).items():
            found.setdefault(name, set()).add(str(version))
    same = [f"{name} {next(iter(versions))}" for name, versions in sorted(found.items()) if len(versions) == 1]
    return same, sorted(name for name, versions in found.items() if len(versions) > 1)


def _verdict(entry: Mapping[str, Any]) -> Text:
    status = Status(entry["status"])
    verdict, reason = str(entry["verdict"] or status), entry["reason"]
    return coloured(verdict if reason in (None, verdict) else f"{verdict}, {reason.replace('_', ' ')}", status)


def _since(entry: Mapping[str, Any], now: float) -> str:
    return _seconds(max(0.0, now - datetime.fromisoformat(entry["since"]).timestamp())) if entry["since"] else ""


def _seconds(value: float | None) -> str:
    """A duration to two places, as people say it."""
    if value is None:
        return ""
    for unit, seconds in (("d", 86_400), ("h", 3600), ("m", 60)):
        if value >= seconds:
            return f"{value / seconds:.1f} {unit}"
    return f"{value:.1f} s"


def _milliseconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f} ms" if value < 1000 else _seconds(value / 1000)


def _plain(value: Any) -> str:
    return "" if value is None else str(value)
