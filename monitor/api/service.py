"""The read side's composition root: one roster, one refresher and one set of probes per process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from monitor import project
from monitor.api.access import Access
from monitor.api.history import reading
from monitor.api.history.reading import Archive, ReadingRoom
from monitor.api.history.snapshot import SnapshotRenderer
from monitor.api.probes import Probes
from monitor.api.reader import Reader
from monitor.api.refresher import Refresher
from monitor.api.render import Renderer
from monitor.api.roster import Roster
from monitor.config import Config, ConfigError, loading
from monitor.credentials.used_codes import UsedCodes
from monitor.ports import StoreUnavailable
from monitor.store import RedisStore

TIMEOUT_SECONDS = 1.0
"""Of one read. No request waits for it, each notices a silence by itself; less would be wrong on a busy machine."""

log = structlog.get_logger("monitor.api")
_building = threading.Lock()
_services: list[Service] = []


@dataclass(frozen=True)
class Service:
    """What the endpoints of a process work with."""

    config: Config
    roster: Roster
    refresher: Refresher
    renderer: Renderer
    probes: Probes
    reading: ReadingRoom
    snapshots: SnapshotRenderer


def service() -> Service:
    """This process' service, built on first use. Neither connects nor starts the refresher."""
    if not _services:
        with _building:
            if not _services:
                _services.append(_load())
    return _services[0]


def build(
    config: Config,
    *,
    problem: str | None = None,
    connect: Callable[[], Reader] | None = None,
    archive: Callable[[], Archive] | None = None,
) -> Service:
    """A service for a configuration, over the store it names unless ``connect`` makes readers of another.

    ``archive`` makes readers of the past. With a ``problem``, it says that there is no configuration.
    """
    roster = Roster(config, problem=problem)
    refresher = Refresher(connect or (lambda: _reader(config)), interval_seconds=config.refresh_interval_seconds)
    token = config.token.get_secret_value() if config.token else None
    used_codes = UsedCodes(config.data_dir) if config.data_dir else None
    renderer = Renderer(roster)
    return Service(
        config,
        roster,
        refresher,
        renderer,
        Probes(roster, refresher, renderer, Access(token, used_codes=used_codes)),
        ReadingRoom(archive or (lambda: _reader(config, reading.TIMEOUT_SECONDS)), refresher),
        SnapshotRenderer(config, roster),
    )


def _load() -> Service:
    try:
        loaded = loading.load(django_settings=project.explicit_settings(), project=project.derived_settings())
    except ConfigError as error:
        # The site around us goes on; its probes say that the monitor is not configured.
        log.error("configuration.wrong", problems=str(error))
        return build(Config(), problem="configuration")
    return build(loaded.config)


def _reader(config: Config, timeout_seconds: float = TIMEOUT_SECONDS) -> RedisStore:
    if config.redis_url is None:
        raise StoreUnavailable("no redis_url is configured")
    url = config.redis_url.get_secret_value()
    return RedisStore.reader(url, prefix=config.key_prefix, timeout_seconds=timeout_seconds)
