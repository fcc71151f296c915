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
from monitor.cli.options import config_option
from monitor.cli.stored import load_with_store, store_answers
from monitor.cli.tables import CheckRow, ExitCode, exit_code, show
from monitor.cli.watching import keep_showing
from monitor.config import CheckSpec, Config
from monitor.model.alerts import AlertsOverview
from monitor.model.checks import Snapshot
from monitor.policy.effective_status import RuntimeStates, overlay
from monitor.policy.runtime_checks import SUMMARY, runtime_spec
from monitor.ports.history import HistoryBounds
from monitor.ports.store import Store
from monitor.presentation import states
from monitor.presentation.history import reaches_document
from monitor.services.ownership import explanation


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
@click.option("--watch", "-w", is_flag=True, help="Show it again every second, in place, until Ctrl-C.")
@config_option
@data_dir_option
def status(*, as_json: bool, watch: bool, config: Path | None, data_dir: Path | None) -> None:
    """Show the latest snapshot, what is told of it, and how far back history reaches.

    Where no Redis URL is configured, that of a `monitor up` over the same data directory.
    Exit code: 0 ok, 1 warning, 2 critical, 3 unknown (the Nagios convention); 0 after --watch.
    """
    if as_json and watch:
        raise click.UsageError("--json or --watch: not both")
    loaded = load_with_store(config, data_dir)
    store, project = wiring.store(loaded), wiring.identity(loaded, data_dir=data_dir)
    if watch:
        keep_showing(lambda console: _show(_look(loaded, store, project), console))
    with store_answers():
        seen = _look(loaded, store, project)
    if as_json:
        document = _document(loaded, seen.rows, seen.snapshot)
        document |= {"alerting": states.alerts(seen.alerts), "history": reaches_document(seen.reaches)}
        document |= {"project": seen.belonging.document()}
        click.echo(json.dumps(document, indent=2))
    else:
        _show(seen, Console())
    sys.exit(ExitCode.UNKNOWN if seen.belonging.is_another else exit_code(seen.rows))


class _Belonging(NamedTuple):
    """This project, and the one that the store belongs to."""

    project: Identity
    owner: Identity | None

    @property
    def is_another(self) -> bool:
        """Whether what the store holds is another project's."""
        return self.project.differs_from(self.owner)

    def document(self) -> dict[str, str | None]:
        """Return it as JSON has it."""
        owner = self.owner.name if self.owner else None
        return {"name": self.project.name or None, "store": owner, "refused": self.text()}

    def text(self) -> str | None:
        """Return why nothing runs here; None when it does."""
        return explanation(self.project, self.owner) if self.owner and self.is_another else None


class _Seen(NamedTuple):
    snapshot: Snapshot
    alerts: AlertsOverview
    reaches: HistoryBounds
    fleet: RuntimeStates
    rows: list[CheckRow]
    keeps_history: bool
    belonging: _Belonging


def _look(config: Config, store: Store, project: Identity) -> _Seen:
    snapshot, alerts, reaches = store.states.read(), store.alerts.overview(), store.history.reaches()
    fleet = RuntimeStates(snapshot.states if config.workers.enabled else {})
    rows = [_row(spec, snapshot, fleet) for spec in (*config.checks.values(), *_own(config, snapshot))]
    belonging = _Belonging(project, store.ownership.read())
    return _Seen(snapshot, alerts, reaches, fleet, rows, config.history.enabled, belonging)


def _show(seen: _Seen, console: Console) -> None:
    if text := seen.belonging.text():
        console.print(f"{text}\n\nThis is what that project has stored:\n", style="bold red")
    show([*seen.rows, *_workers(seen.fleet, seen.snapshot)], with_age=True, console=console)
    show_alerts(seen.alerts, console)
    console.print()
    console.print(_history(seen), highlight=False)


def _history(seen: _Seen) -> str:
    """How far back history reaches."""
    now = seen.snapshot.read_at
    raw, rollups = seen.reaches
    parts = ((raw, "in single observations"), (None if rollups == raw else rollups, "in roll-ups of five minutes"))
    reach = ", ".join(f"{duration(now - at)} {what}" for at, what in parts if at is not None)
    off = "" if seen.keeps_history else " (off: nothing is added)"
    return f"history reaches back {reach}{off}" if reach else f"history: nothing is kept{off or ' yet'}"


def _own(config: Config, snapshot: Snapshot) -> list[CheckSpec]:
    """The checks of the monitor's own state."""
    return [
        runtime_spec(state.check)
        for state in RuntimeStates(snapshot.states).monitor
        if state.check not in config.checks
    ]


def _workers(fleet: RuntimeStates, snapshot: Snapshot) -> list[CheckRow]:
    """A line about all workers and queues, which `monitor workers` has one by one. It weighs through the broker's."""
    if fleet.summary is None:
        return []
    reading, result = policy.read_status(fleet.summary, snapshot.read_at), fleet.summary.result
    counts = [
        f"{what}: " + ", ".join(f"{count} {verdict}" for verdict, count in result.data[what].items() if count)
        for what in ("workers", "queues")
        if isinstance(result.data.get(what), Mapping) and any(result.data[what].values())
    ]
    age = max(0.0, snapshot.read_at - result.observed_at)
    return [CheckRow(SUMMARY, reading.status, reading.reason, "; ".join(counts) or None, None, age)]


def _row(spec: CheckSpec, snapshot: Snapshot, fleet: RuntimeStates) -> CheckRow:
    own = snapshot.states.get(spec.name)
    reading, state = overlay(spec, policy.read_status(own, snapshot.read_at), own, fleet, snapshot.read_at)
    if state is None:
        return CheckRow(spec.name, reading.status, reading.reason, critical=spec.critical)
    result = state.result
    return CheckRow(
        spec.name,
        reading.status,
        reading.reason,
        result.message,
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
