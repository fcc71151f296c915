"""Settings derived from the Django and Celery project to which this process belongs.

The module does not import Celery, and imports Django and `monitor.config` only inside functions: probe processes, the
monitor's roles and, through `monitor.install`, every process of the project import it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from monitor.agent import broker
from monitor.agent.identity import Identity, of_process

VARIABLE = "DJANGO_SETTINGS_MODULE"
OBSERVED_VARIABLE = "CELERY_HEALTH_MONITOR_OBSERVED"
"""Set by `monitor up`, so that its own worker is observed, too. In production only a project's workers are."""

_installed: list[Any] = []


def remember(app: Any) -> None:
    """Add a Celery application of the project. `monitor.install(app)` calls this."""
    if app not in _installed:
        _installed.append(app)


def watch(app: Any) -> None:
    """Make this the Celery application to watch (the setting `celery_app`), also if others were added."""
    if app in _installed:
        _installed.remove(app)
    _installed.append(app)


def applications() -> tuple[Any, ...]:
    """Return the known Celery applications. If their settings differ, the last one wins."""
    return tuple(_installed)


def explicit_settings() -> Mapping[str, Any]:
    """Return ``settings.MONITOR`` of this process's Django project; empty if there is none.

    Raises ConfigError when the project's settings cannot be imported.
    """
    settings = _django_settings()
    return getattr(settings, "MONITOR", None) or {} if settings is not None else {}


def derived_settings() -> dict[str, Any]:
    """Return defaults for missing settings: the project's broker, its queues, its name and a store."""
    derived: dict[str, Any] = {}
    settings = _django_settings()
    for name in ("CELERY_BROKER_URL", "BROKER_URL"):
        if settings is not None and isinstance(getattr(settings, name, None), str):
            derived.setdefault("broker_url", getattr(settings, name))
    transport_options = getattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", None)
    if transport_options:
        derived["broker_transport_options"] = dict(transport_options)
    tls = getattr(settings, "CELERY_BROKER_USE_SSL", None)
    for app in _installed:
        derived.update(from_celery(app))
        tls = app.conf.broker_use_ssl
    if name := identity(None).name:
        derived["project"] = name
    return derived | _store_in(derived, tls)


def identity(name: str | None) -> Identity:
    """Return the identity of this process's project; ``name`` is the setting `project`."""
    return of_process(name, _installed, os.environ)


def from_celery(app: Any) -> dict[str, Any]:
    """Return the settings for the broker that follow from a Celery application's configuration."""
    conf = app.conf
    derived: dict[str, Any] = {}
    url, _, _ = broker.connection_settings(conf)
    if url:
        derived["broker_url"] = url
    if conf.broker_transport_options:
        derived["broker_transport_options"] = dict(conf.broker_transport_options)
    queues = conf.task_queues
    names = list(queues) if isinstance(queues, Mapping) else [getattr(queue, "name", queue) for queue in queues or ()]
    derived["broker_queues"] = [str(name) for name in names] or [str(conf.task_default_queue)]
    return derived


def _store_in(derived: Mapping[str, Any], tls: Any) -> dict[str, str]:
    """Return the broker's Redis as the store, and its key prefix, to which the Redis user may be limited."""
    options = derived.get("broker_transport_options", {})
    try:
        store = broker.store_url(derived.get("broker_url"), options, tls)
    except ValueError:  # the setting of the broker is reported as wrong elsewhere
        return {}
    prefix = broker.key_prefix(options) if store else None
    return {key: value for key, value in (("redis_url", store), ("key_prefix", prefix)) if value is not None}


def _django_settings() -> Any:
    # The monitor's own Django settings are derived from its configuration, so they add nothing.
    if os.environ.get(VARIABLE) in (None, "", "monitor.settings"):
        return None
    from django.conf import settings  # noqa: PLC0415

    try:
        settings.INSTALLED_APPS  # noqa: B018 - the first access imports the settings
    except Exception as error:
        from monitor.config import ConfigError, ConfigProblem  # noqa: PLC0415 - not in the project's own processes

        hint = f"the project's settings cannot be imported ({type(error).__name__}: {error})"
        raise ConfigError([ConfigProblem(VARIABLE, os.environ[VARIABLE], hint)]) from error
    return settings
