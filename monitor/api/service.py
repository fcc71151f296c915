"""Composition root of the API: one roster, one refresher and one set of probes per process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from monitor.api import history_limiter
from monitor.api.access import Access
from monitor.api.history_limiter import HistoryReadLimiter
from monitor.api.probes.endpoints import Probes
from monitor.api.refresher import Refresher
from monitor.api.render import Renderer
from monitor.api.roster import RosterReader
from monitor.config import Config, ConfigError, loading
from monitor.credentials.used_codes import UsedCodes
from monitor.lib import logs
from monitor.ports.store import Store, StoreUnavailable
from monitor.project import discovery
from monitor.store.redis.store import RedisStore

TIMEOUT_SECONDS = 1.0
"""Time limit of one read of the refresher, for which no probe waits. On a busy machine a read may need this time."""

log = logs.get_logger("monitor.api")
_building = threading.Lock()
_services: list[Service] = []


@dataclass(frozen=True)
class Service:
    """Objects that the endpoints of a process use."""

    config: Config
    roster: RosterReader
    refresher: Refresher
    renderer: Renderer
    probes: Probes
    history: HistoryReadLimiter

    @property
    def access(self) -> Access:
        """Return the rules of access."""
        return self.probes.access


def service() -> Service:
    """Return the service of this process, which the first call builds. Opens no connection and starts no thread."""
    if not _services:
        with _building:
            if not _services:
                _services.append(_load())
    return _services[0]


def build(
    config: Config,
    *,
    problem: str | None = None,
    connect: Callable[[], Store] | None = None,
    history_source: Callable[[], Store] | None = None,
) -> Service:
    """Return a service for a configuration.

    ``connect`` (for the refresher) and ``history_source`` (for history) open the store; by default the configured one.
    ``problem`` is the reason why the configuration cannot be used.
    """
    roster = RosterReader(config, problem=problem)
    refresher = Refresher(connect or (lambda: _reader(config)), interval_seconds=config.refresh_interval_seconds)
    token = config.token.get_secret_value() if config.token else None
    used_codes = UsedCodes(config.data_dir) if config.data_dir else None
    renderer = Renderer(roster)
    probes = Probes(roster, refresher, renderer, Access(token, used_codes=used_codes))
    source = history_source or (lambda: _reader(config, history_limiter.TIMEOUT_SECONDS))
    return Service(config, roster, refresher, renderer, probes, HistoryReadLimiter(source, refresher))


def _load() -> Service:
    try:
        loaded = loading.load(django_settings=discovery.explicit_settings(), project=discovery.derived_settings())
    except ConfigError as error:
        # The project's site must continue to work. The probes return the reason `configuration`.
        log.error("configuration.wrong", problems=str(error))
        return build(Config(), problem="configuration")
    return build(loaded.config)


def _reader(config: Config, timeout_seconds: float = TIMEOUT_SECONDS) -> Store:
    if config.redis_url is None:
        raise StoreUnavailable("no redis_url is configured")
    url = config.redis_url.get_secret_value()
    return RedisStore(url, prefix=config.key_prefix, timeout_seconds=timeout_seconds, retries=False)
