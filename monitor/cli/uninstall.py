"""``monitor uninstall``: lists or removes everything that the monitor has stored, besides the package itself."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from monitor import wiring
from monitor.agent import beacon_file
from monitor.agent.broker import key_prefix
from monitor.agent.identity import Identity
from monitor.cli.config_loading import read_or_exit
from monitor.cli.data_dir import data_dir_of, data_dir_option, running_url
from monitor.cli.options import config_option
from monitor.config import Config
from monitor.model.uninstall import StoredItems
from monitor.ports.store import StoreUnavailable
from monitor.ports.uninstall import Place
from monitor.project import discovery
from monitor.services.uninstall import PlaceReport, UninstallReport, survey
from monitor.services.uninstall import uninstall as remove_from
from monitor.store.redis.uninstall import StorePlace, StrayAgentsPlace, WatchedWorkers
from monitor.supervisor import embedded, role_file
from monitor.uninstall.broker import BrokerPlace, OwnQueues
from monitor.uninstall.files import DataDirectoryPlace, SamplesPlace
from monitor.uninstall.schedules import schedule_places

DEFAULT_PREFIX = "monitor:"
STOP_THEM = (
    "Stop the roles, remove `monitor.install(app)`, and restart the project's workers. A killed role is listed for "
    "15 s, a killed worker for two intervals. With --force everything is removed nevertheless, and they write it again."
)


@click.command()
@click.option("--yes", is_flag=True, help="Remove everything. Without this option, the command only lists it.")
@click.option("--force", is_flag=True, help="Remove it also while roles or agents run, or if a place does not answer.")
@config_option
@data_dir_option
def uninstall(*, yes: bool, force: bool, config: Path | None, data_dir: Path | None) -> None:
    """List or remove everything that the monitor has stored: keys, queues, rows and files.

    Run it with the configuration of the roles, on each machine that has a data directory. It removes the keys below
    `key_prefix` in the store, the monitor's queues in the broker, beat entries of former versions in the project's
    database or redbeat, and files on this machine. It keeps keys of other programs, and everything of other projects.

    Exit code: 0, or 1 if something runs, does not answer, or belongs to another project.
    """
    places = _places(*_settings(config, data_dir))
    report = remove_from(places, force=force) if yes else survey(places)
    for line in _lines(report):
        click.echo(line)
    sys.exit(_conclude(report, yes=yes))


def _settings(file: Path | None, data_dir: Path | None) -> tuple[Config, Path]:
    """Return the configuration and the data directory. Exit if the configuration is invalid."""
    settings = read_or_exit(file, fallback_url=lambda config: running_url(config, data_dir))
    return settings, data_dir_of(settings, data_dir)


def _places(settings: Config, directory: Path) -> list[Place]:
    socket_directory = embedded.socket_path(directory).parent
    further = [] if socket_directory.is_relative_to(directory) else [socket_directory]
    project = wiring.identity(settings, data_dir=directory)
    return [
        *_servers(settings, project),
        DataDirectoryPlace(directory, further),
        SamplesPlace((beacon_file.ended, role_file.ended)),
    ]


def _servers(settings: Config, project: Identity) -> list[Place]:
    """Return the store, the broker and the schedules of the project's beat, as far as they are configured."""
    places: list[Place] = []
    known = WatchedWorkers()
    if settings.redis_url is not None:
        store = StorePlace(settings.redis_url.get_secret_value(), settings.key_prefix, project)
        places.append(store)
        with contextlib.suppress(StoreUnavailable):  # the place itself reports this
            known = store.workers()
        other_prefixes = {DEFAULT_PREFIX, key_prefix(settings.broker_transport_options) or DEFAULT_PREFIX}
        for prefix in sorted(other_prefixes - {settings.key_prefix}):
            places.append(StrayAgentsPlace(settings.redis_url.get_secret_value(), prefix, project))
    if settings.broker_url is not None:
        queues = known.queues | {*settings.workers.queues, *settings.broker_queues}
        own = OwnQueues(settings.own_queues, known.targets, known.nodes, queues)
        places.append(BrokerPlace(settings.broker_url.get_secret_value(), settings.broker_transport_options, own))
    return [*places, *schedule_places(_application(settings))]


def _application(settings: Config) -> Any:
    """Return the project's Celery application, whose configuration names the keys of its schedule; None without one."""
    if settings.celery_app is None:
        return discovery.known_application()
    try:
        return discovery.import_application(settings.celery_app)
    except Exception as error:
        hint = f"cannot be imported ({type(error).__name__}: {error})"
        raise click.ClickException(f"celery_app={settings.celery_app} {hint}") from error


def _conclude(report: UninstallReport, *, yes: bool) -> int:
    """Print the conclusion, and return the exit code."""
    if report.users:
        click.echo("\nstill running:")
        for user in report.users:
            click.echo(f"  {user}")
        click.echo(STOP_THEM)
    for place in report.left:
        click.echo(f"\n{place.title}: {place.contents.count} items were stored again, or could not be removed")
    if report.removed:
        click.echo(f"\nremoved {report.count} items")
        return 1 if report.left or report.problems else 0
    if yes:
        click.echo("\nnothing was removed")
        return 1
    click.echo(f"\nwould remove {report.count} items; nothing was removed. To remove them: monitor uninstall --yes")
    return 1 if report.users or report.problems else 0


def _lines(report: UninstallReport) -> Iterator[str]:
    for place in report.places:
        yield place.title
        yield from _place_lines(place)


def _place_lines(place: PlaceReport) -> Iterator[str]:
    if place.problem is not None:
        yield f"  {place.problem}"
        return
    for items in place.contents.items:
        yield f"  {_text(items)}"
    for items in place.contents.kept:
        yield f"  kept: {_text(items)}"
    if not place.contents.items:
        yield "  nothing of the monitor"


def _text(items: StoredItems) -> str:
    more = ", ..." if items.count > len(items.names) else ""
    return f"{items.count:>5} {items.kind}" + (f" ({', '.join(items.names)}{more})" if items.names else "")
