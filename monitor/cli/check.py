"""``monitor check``: runs checks in child processes of the command, without a store and without a worker."""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from monitor import wiring
from monitor.cli.config_loading import load_or_exit
from monitor.cli.data_dir import running_url
from monitor.cli.options import config_option
from monitor.cli.tables import CheckRow, ExitCode, exit_code, print_checks
from monitor.config import CheckSpec, Config
from monitor.executor.waiting import wait_for_start
from monitor.lib.redaction import scrub
from monitor.model.checks import Outcome, Status
from monitor.policy.runtime_checks import child_spec
from monitor.ports.executor import Executor, ExecutorUnavailable

_MAX_PARALLEL_CHECKS = 8


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@config_option
def check(names: tuple[str, ...], config: Path | None) -> None:
    """Run checks once on this machine, without a store, and print their outcomes.

    Without NAME, all configured checks run. Exit code (the Nagios convention): 2 if a critical check is in error,
    else 3 if a critical check could not be run, else 1 if a check is not ok, else 0.
    """
    loaded = load_or_exit(config, exit_code=ExitCode.UNKNOWN, fallback_url=_nearest_redis).config
    unknown = [name for name in names if name not in loaded.checks]
    if unknown:
        click.echo(f"no such check: {', '.join(unknown)}; there are: {', '.join(loaded.checks)}", err=True)
        sys.exit(ExitCode.UNKNOWN)
    chosen = [wiring.with_configured_options(loaded, loaded.checks[name]) for name in names or loaded.checks]
    try:
        with (
            contextlib.closing(wiring.build_executor(loaded)) as executor,
            ThreadPoolExecutor(_MAX_PARALLEL_CHECKS) as threads,
        ):
            # Now, so that the command ends here if no check process can be started.
            wait_for_start(executor, lambda starting: click.echo(f"{starting} ...", err=True))
            rows = [row for rows in threads.map(lambda spec: _run(executor, spec), chosen) for row in rows]
    except (ExecutorUnavailable, OSError) as error:
        click.echo(f"no check can be run: {scrub(str(error))}", err=True)
        sys.exit(ExitCode.UNKNOWN)
    print_checks(rows, with_age=False)
    sys.exit(exit_code(rows))


def _nearest_redis(config: Config) -> str:
    """Return the URL of the embedded Redis of a running `monitor up`, or else of port 6379 on this machine."""
    return running_url(config, None) or "redis://127.0.0.1:6379/0"


def _run(executor: Executor, spec: CheckSpec) -> list[CheckRow]:
    """Run a check. Return its row and the rows of its child checks."""
    try:
        outcome, response_time_ms = executor.run(spec)
    except ExecutorUnavailable as error:
        return [CheckRow(spec.name, Status.UNKNOWN, "not_run", scrub(str(error)), critical=spec.critical)]
    children = ((child_spec(spec, name), child) for name, child in outcome.children.items() if child is not None)
    return [_row(*spec_and_outcome, response_time_ms) for spec_and_outcome in ((spec, outcome), *children)]


def _row(spec: CheckSpec, outcome: Outcome, response_time_ms: float) -> CheckRow:
    return CheckRow(
        spec.name,
        outcome.status,
        outcome.reason,
        outcome.message,
        response_time_ms,
        data=outcome.data,
        critical=spec.critical,
    )
