"""``monitor workers``: tables of the workers and of the queues, each with its verdict."""

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
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as in /api/health/workers/.")
@config_option
@data_dir_option
def workers(as_json: bool, config: Path | None, data_dir: Path | None) -> None:
    """Show the workers and the queues, each with its verdict.

    Exit code: 0 ok, 1 warning, 2 a worker or a queue is in error or its verdict is out of date, 3 no worker has been
    judged yet (the Nagios convention).
    """
    loaded = load_with_store(config, data_dir)
    with exit_if_store_unavailable():
        snapshot = wiring.build_store(loaded).states.read()
    document = states.workers_document(snapshot.states, snapshot.read_at)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        _show(document, snapshot.read_at)
    sys.exit(exit_code(_rows(document)))


def _rows(document: Mapping[str, Any]) -> Iterator[CheckRow]:
    """Yield the rows that decide about the exit code.

    The summary decides only if nothing is known or its verdict is out of date. Errors are counted by their own rows.
    """
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
            click.echo(f"everywhere: {', '.join(same)}\n")  # versions that all workers have in common
        for entry in document["workers"]:
            if len(entry.get("instances") or ()) > 1:
                click.echo(f"{entry['name']} runs more than once: {_instances(entry)}\n")
    if document["queues"]:
        _print(_QUEUES, (_queue(entry, now) for entry in document["queues"]))


def _print(headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a table. A narrow console folds names between words and omits the columns in ``_LEFT_OUT``."""
    console, lines = Console(), list(rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    is_wide = console.width >= _WIDE
    shown = [index for index, name in enumerate(headings) if is_wide or name not in _LEFT_OUT]
    for index in shown:
        name = headings[index]
        words = [word for line in lines for word in str(line[index]).split(", ")]
        table.add_column(
            name,
            justify="left" if name in _TEXTS else "right",
            no_wrap=name not in _FOLDED,
            min_width=min(max(map(len, [name, *words])), 20 if is_wide else 14),
            overflow="fold",
        )
    for line in lines:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in (line[index] for index in shown)))
    console.print(table)


def _worker(entry: Mapping[str, Any], now: float, packages: Iterable[str]) -> list[str | Text]:
    versions = entry["versions"] or {}
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
        *(_plain(versions.get(name)) for name in packages),
    ]


def _instances(entry: Mapping[str, Any]) -> str:
    return ", ".join(f"host {one['host']} pid {one['pid']} {one['verdict']}" for one in entry["instances"])


def _queue(entry: Mapping[str, Any], now: float) -> list[str | Text]:
    workers = entry["workers"]
    count = len(workers) if isinstance(workers, Sequence) and not isinstance(workers, str) else workers
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
    """Return the packages that have one version in all workers, with it, and the names of those that have several."""
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
    """Return a duration with one decimal in its largest unit, such as ``1.5 h``."""
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
