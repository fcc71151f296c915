"""What the Django + Celery project around us says of itself, so that nobody has to write it twice.

Imports neither Celery nor, at import time, Django or `monitor.config`: a probe process, a role of the monitor's and,
through `monitor.install`, every process of the project ask here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from monitor.agent import broker
from monitor.agent.identity import Identity, of_process

VARIABLE = "DJANGO_SETTINGS_MODULE"
OBSERVED_VARIABLE = "CELERY_HEALTH_MONITOR_OBSERVED"
"""Set by `monitor up` for its worker, which is then observed like any other. In production, only a project's are."""

_installed: list[Any] = []


def remember(app: Any) -> None:
    """Add a Celery application of the project (`monitor.install(app)` was called)."""
    if app not in _installed:
        _installed.append(app)


def watch(app: Any) -> None:
    """Make this the Celery application to watch (`celery_app` names it), whichever others are known."""
    if app in _installed:
        _installed.remove(app)
    _installed.append(app)


def applications() -> tuple[Any, ...]:
    """Return the known Celery applications. Where they differ, the last one decides."""
    return tuple(_installed)


def explicit_settings() -> Mapping[str, Any]:
    """``settings.MONITOR`` of the Django project that this process belongs to; empty when there is none.

    Raises ConfigError when the project's settings cannot be imported.
    """
    settings = _django_settings()
    return getattr(settings, "MONITOR", None) or {} if settings is not None else {}


def derived_settings() -> dict[str, Any]:
    """What may be concluded where the configuration is silent: the project's broker and its queues."""
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
    """Return the identity of the project that this process belongs to; ``name`` is the setting `project`."""
    return of_process(name, _installed, os.environ)


def from_celery(app: Any) -> dict[str, Any]:
    """What a Celery application's own configuration says of its broker."""
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
    """The broker's Redis as the store, and there the broker's own key prefix: the only one some users may write."""
    options = derived.get("broker_transport_options", {})
    try:
        store = broker.store_url(derived.get("broker_url"), options, tls)
    except ValueError:  # the broker's own setting will be complained of
        return {}
    prefix = broker.key_prefix(options) if store else None
    return {key: value for key, value in (("redis_url", store), ("key_prefix", prefix)) if value is not None}


def _django_settings() -> Any:
    # Our own settings are made of the configuration: there is nothing to be learned from them.
    if os.environ.get(VARIABLE) in (None, "", "monitor.settings"):
        return None
    from django.conf import settings  # noqa: PLC0415

    try:
        settings.INSTALLED_APPS  # noqa: B018 - settings are imported when the first of them is asked for
    except Exception as error:
        from monitor.config import ConfigError, ConfigProblem  # noqa: PLC0415 - not in the project's own processes

        hint = f"the project's settings cannot be imported ({type(error).__name__}: {error})"
        raise ConfigError([ConfigProblem(VARIABLE, os.environ[VARIABLE], hint)]) from error
    return settings
