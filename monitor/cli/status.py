"""``monitor status``: the latest snapshot from the store."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import click
from rich.console import Console

from monitor import policy, wiring
from monitor.agent.identity import Identity
from monitor.alerts.text import duration
from monitor.cli.alerts import show_alerts
from monitor.cli.data_dir import data_dir_option
from monitor.cli.live_view import show_live
from monitor.cli.options import config_option
from monitor.cli.store_access import exit_if_store_unavailable, load_with_store
from monitor.cli.tables import CheckRow, ExitCode, exit_code, print_checks
from monitor.config import CheckSpec, Config
from monitor.model.alerts import AlertsOverview
from monitor.model.checks import Snapshot
from monitor.policy.effective_status import RuntimeStates, during_import, overlay
from monitor.policy.runtime_checks import SUMMARY, runtime_spec
from monitor.ports.history import HistoryBounds
from monitor.ports.store import Store
from monitor.presentation import states
from monitor.presentation.history import reaches_document
from monitor.services.ownership import explanation


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--watch", "-w", is_flag=True, help="Refresh the output every second, until Ctrl-C.")
@config_option
@data_dir_option
def status(*, as_json: bool, watch: bool, config: Path | None, data_dir: Path | None) -> None:
    """Show all checks with their status, the alerts and silences, and the age of the oldest history.

    If no Redis URL is configured, the store of a running `monitor up` with the same data directory is read.
    Exit code (the Nagios convention): 0 ok, 1 warning, 2 critical, 3 unknown; with --watch always 0.
    """
    if as_json and watch:
        raise click.UsageError("--json and --watch cannot be combined")
    loaded = load_with_store(config, data_dir)
    store, project = wiring.build_store(loaded), wiring.identity(loaded, data_dir=data_dir)
    if watch:
        show_live(lambda console: _show(_read(loaded, store, project), console))
    with exit_if_store_unavailable():
        report = _read(loaded, store, project)
    if as_json:
        document = _document(loaded, report.rows, report.snapshot)
        document |= {"alerting": states.alerts_document(report.alerts), "history": reaches_document(report.reaches)}
        document |= {"project": report.ownership.document()}
        click.echo(json.dumps(document, indent=2))
    else:
        _show(report, Console())
    sys.exit(ExitCode.UNKNOWN if report.ownership.is_another else exit_code(report.rows))


class _Ownership(NamedTuple):
    """Name of this project, and of the project that owns the store, if any."""

    project: Identity
    owner: Identity | None

    @property
    def is_another(self) -> bool:
        """True if another project owns the store."""
        return self.project.differs_from(self.owner)

    def document(self) -> dict[str, str | None]:
        """Return the value of ``project`` in the JSON output."""
        owner = self.owner.name if self.owner else None
        return {"name": self.project.name or None, "store": owner, "refused": self.text()}

    def text(self) -> str | None:
        """Return why this project runs no checks in the store, or None if it may run them."""
        return explanation(self.project, self.owner) if self.owner and self.is_another else None


class _Report(NamedTuple):
    """Contents of the store that the command shows."""

    snapshot: Snapshot
    alerts: AlertsOverview
    reaches: HistoryBounds
    runtime_states: RuntimeStates
    rows: list[CheckRow]
    keeps_history: bool
    ownership: _Ownership


def _read(config: Config, store: Store, project: Identity) -> _Report:
    snapshot, alerts, reaches = store.states.read(), store.alerts.overview(), store.history.reaches()
    runtime_states = RuntimeStates(snapshot.states if config.workers.enabled else {})
    specs = (*config.checks.values(), *_monitor_checks(config, snapshot))
    rows = [_row(spec, snapshot, runtime_states) for spec in specs]
    ownership = _Ownership(project, store.ownership.read())
    return _Report(snapshot, alerts, reaches, runtime_states, rows, config.history.enabled, ownership)


def _show(report: _Report, console: Console) -> None:
    if text := report.ownership.text():
        console.print(f"{text}\n\nThe store of that project contains:\n", style="bold red")
    rows = [*report.rows, *_summary_row(report.runtime_states, report.snapshot)]
    print_checks(rows, with_age=True, console=console)
    show_alerts(report.alerts, console)
    console.print()
    console.print(_history(report), highlight=False)


def _history(report: _Report) -> str:
    """Return a line with the age of the oldest history."""
    now = report.snapshot.read_at
    raw, rollups = report.reaches
    sources = ((raw, "in single observations"), (None if rollups == raw else rollups, "in roll-ups of five minutes"))
    reach = ", ".join(f"{duration(now - at)} {source}" for at, source in sources if at is not None)
    off = "" if report.keeps_history else " (off: nothing is added)"
    return f"history reaches back {reach}{off}" if reach else f"history: nothing is kept{off or ' yet'}"


def _monitor_checks(config: Config, snapshot: Snapshot) -> list[CheckSpec]:
    """Return the checks that the self-check makes. They are in the snapshot but not in the configuration."""
    return [
        runtime_spec(state.check)
        for state in RuntimeStates(snapshot.states).monitor
        if state.check not in config.checks
    ]


def _summary_row(runtime_states: RuntimeStates, snapshot: Snapshot) -> list[CheckRow]:
    """Return a row with the number of workers and of queues for each verdict, or no row if none was judged.

    `monitor workers` shows each worker and queue. The row does not decide about the exit code, because the check of the
    broker includes the workers and queues.
    """
    summary = runtime_states.summary
    if summary is None:
        return []
    reading, result = policy.read_status(summary, snapshot.read_at), summary.result
    counts = [
        f"{kind}: " + ", ".join(f"{count} {verdict}" for verdict, count in result.data[kind].items() if count)
        for kind in ("workers", "queues")
        if isinstance(result.data.get(kind), Mapping) and any(result.data[kind].values())
    ]
    age = max(0.0, snapshot.read_at - result.observed_at)
    return [CheckRow(SUMMARY, reading.status, reading.reason, "; ".join(counts) or None, None, age)]


def _row(spec: CheckSpec, snapshot: Snapshot, runtime_states: RuntimeStates) -> CheckRow:
    own = snapshot.states.get(spec.name)
    reading, message = during_import(policy.read_status(own, snapshot.read_at), snapshot.states, snapshot.read_at)
    reading, state = overlay(spec, reading, own, runtime_states, snapshot.read_at)
    if state is None:
        return CheckRow(spec.name, reading.status, reading.reason, message, critical=spec.critical)
    result = state.result
    return CheckRow(
        spec.name,
        reading.status,
        reading.reason,
        message or result.message,
        result.response_time_ms,
        max(0.0, snapshot.read_at - result.observed_at),
        result.data,
        spec.critical,
    )


def _document(config: Config, rows: list[CheckRow], snapshot: Snapshot) -> dict[str, object]:
    readings = {row.check: policy.Reading(row.status, row.reason) for row in rows}
    critical = {name for name, spec in config.checks.items() if spec.critical}
    return {
        "status": policy.overall(readings, critical),
        "read_at": snapshot.read_at,
        "checks": {
            row.check: {
                "status": row.status,
                "reason": row.reason,
                "message": row.message,
                "response_time_ms": row.response_time_ms,
                "age_seconds": None if row.age_seconds is None else round(row.age_seconds, 3),
                **row.data,
            }
            for row in rows
        },
    }
