"""``monitor workers``: a table of the workers and a table of the queues, with their verdicts."""

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

_WORKERS = ("worker", "verdict", "for", "queues", "slots", "oldest", "reserved", "lag", "latency", "pool")
_QUEUES = ("queue", "verdict", "for", "pending", "latency", "workers")
_LEFT_ALIGNED = frozenset({"worker", "queue", "verdict", "queues", "pool"})
_MAY_FOLD = frozenset({"worker", "queue", "queues"})
_OMITTED_IF_NARROW, _WIDE_CHARACTERS = frozenset({"reserved", "lag", "pool"}), 100

_OUTDATED = {
    "agent": "the agents in these workers are older than the monitor",
    "monitor": "the monitor is older than the agents in these workers",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as in /api/health/workers/.")
@config_option
@data_dir_option
def workers(as_json: bool, config: Path | None, data_dir: Path | None) -> None:
    """Show the workers and the queues, each with its verdict.

    Exit code (the Nagios convention): 0 ok, 1 warning, 2 a worker or a queue is in error or has an expired verdict, 3
    no worker has been judged yet.
    """
    loaded = load_with_store(config, data_dir)
    with exit_if_store_unavailable():
        snapshot = wiring.build_store(loaded).states.read()
    document = states.workers_document(snapshot.states, snapshot.read_at)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        _print_document(document, snapshot.read_at)
    sys.exit(exit_code(_exit_code_rows(document)))


def _exit_code_rows(document: Mapping[str, Any]) -> Iterator[CheckRow]:
    """Yield the rows that decide about the exit code: the summary, and each worker and queue.

    An error of the summary does not decide, because each worker and queue in error has its own row. An unknown or
    expired summary decides.
    """
    summary_status = Status(document["status"])
    yield CheckRow("workers", summary_status, critical=summary_status is not Status.ERROR)
    for entry in (*document["workers"], *document["queues"]):
        yield CheckRow(entry["check"], Status(entry["status"]))


def _print_document(document: Mapping[str, Any], now: float) -> None:
    if document["status"] == Status.UNKNOWN:
        click.echo("no worker has been judged yet: do they have `monitor.install(app)`, and is `monitor beat` running?")
    if document["suspended"]:
        click.echo("suspended: while the store or the broker recovers, each worker and queue keeps its last verdict")
    if document["workers"]:
        same, different = _versions(document["workers"])
        _print((*_WORKERS, *different), (_worker_row(entry, now, different) for entry in document["workers"]))
        if same:
            click.echo(f"everywhere: {', '.join(same)}\n")  # versions that are the same in all workers
        for line in _outdated(document["workers"]):
            click.echo(line)
        for entry in document["workers"]:
            if len(entry.get("instances") or ()) > 1:
                click.echo(f"{entry['name']} runs more than once: {_instances(entry)}\n")
    if document["queues"]:
        _print(_QUEUES, (_queue_row(entry, now) for entry in document["queues"]))


def _print(headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a table. On a narrow console, fold long names and omit the columns in ``_OMITTED_IF_NARROW``."""
    console, lines = Console(), list(rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    is_wide = console.width >= _WIDE_CHARACTERS
    columns = [index for index, name in enumerate(headings) if is_wide or name not in _OMITTED_IF_NARROW]
    for index in columns:
        name = headings[index]
        words = [word for line in lines for word in str(line[index]).split(", ")]
        table.add_column(
            name,
            justify="left" if name in _LEFT_ALIGNED else "right",
            no_wrap=name not in _MAY_FOLD,
            min_width=min(max(map(len, [name, *words])), 20 if is_wide else 14),
            overflow="fold",
        )
    for line in lines:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in (line[index] for index in columns)))
    console.print(table)


def _worker_row(entry: Mapping[str, Any], now: float, packages: Iterable[str]) -> list[str | Text]:
    versions = entry["versions"] or {}
    return [
        str(entry["name"]),
        _verdict(entry),
        _since(entry, now),
        ", ".join(entry["queues"] or ()),
        "" if entry["slots"] is None else f"{_text_or_blank(entry['active'])}/{entry['slots']}",
        _seconds(entry["oldest_task_seconds"]),
        _text_or_blank(entry["reserved"]),
        _seconds(entry["loop_lag_seconds"]),
        _milliseconds(entry["latency_ms"]),
        _text_or_blank(entry["pool"]),
        *(_text_or_blank(versions.get(name)) for name in packages),
    ]


def _outdated(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each side that has the older version, with the names of the workers."""
    for side, text in _OUTDATED.items():
        names = [str(entry["name"]) for entry in entries if entry.get("outdated") == side]
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            yield f"outdated: {text}: {', '.join(names[:5])}{more}\n"


def _instances(entry: Mapping[str, Any]) -> str:
    return ", ".join(
        f"host {instance['host']} pid {instance['pid']} {instance['verdict']}" for instance in entry["instances"]
    )


def _queue_row(entry: Mapping[str, Any], now: float) -> list[str | Text]:
    workers = entry["workers"]
    count = len(workers) if isinstance(workers, Sequence) and not isinstance(workers, str) else workers
    latency = _milliseconds(entry["latency_ms"])
    return [
        str(entry["name"]),
        _verdict(entry),
        _since(entry, now),
        _text_or_blank(entry["pending_tasks"]),
        latency,
        _text_or_blank(count),
    ]


def _versions(entries: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Return two lists of packages.

    The first has the packages with the same version in all workers, as name and version. The second has the names of
    the packages with several versions.
    """
    versions_by_package: dict[str, set[str]] = {}
    for entry in entries:
        for name, version in (entry["versions"] or {}).items():
            versions_by_package.setdefault(name, set()).add(str(version))
    same = [
        f"{name} {next(iter(versions))}" for name, versions in sorted(versions_by_package.items()) if len(versions) == 1
    ]
    return same, sorted(name for name, versions in versions_by_package.items() if len(versions) > 1)


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


def _text_or_blank(value: Any) -> str:
    return "" if value is None else str(value)
