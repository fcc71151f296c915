"""Settings derived from the Django and Celery project to which this process belongs.

Every process of the project imports this module, through `monitor.install`. So the module does not import Celery, and
imports Django and `monitor.config` only inside functions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from monitor.agent import broker
from monitor.agent.identity import Identity, of_process
from monitor.project import default_checks, queues

VARIABLE = "DJANGO_SETTINGS_MODULE"
OBSERVED_VARIABLE = "CELERY_HEALTH_MONITOR_OBSERVED"
"""Set by `monitor up`, so that its own worker is observed. Otherwise only the project's workers are observed."""

_applications: list[Any] = []


def add_application(app: Any) -> None:
    """Add a Celery application of the project. `monitor.install(app)` calls this."""
    if app not in _applications:
        _applications.append(app)


def prefer(app: Any) -> None:
    """Make this application the last one, so that its settings are used. Called for the setting `celery_app`."""
    if app in _applications:
        _applications.remove(app)
    _applications.append(app)


def applications() -> tuple[Any, ...]:
    """Return the known Celery applications. If their settings differ, the settings of the last one are used."""
    return tuple(_applications)


def explicit_settings() -> Mapping[str, Any]:
    """Return ``settings.MONITOR`` of this process's Django project; empty without a project or this setting.

    Raises ConfigError when the project's settings cannot be imported.
    """
    settings = _django_settings()
    return getattr(settings, "MONITOR", None) or {} if settings is not None else {}


def derived_settings() -> dict[str, Any]:
    """Return defaults for missing settings: broker, queues and name of the project, and its broker as the store.

    The value of ``checks`` is the part of the default roster that watches the project's databases and caches.
    """
    derived: dict[str, Any] = {}
    settings = _django_settings()
    if settings is not None:
        found = {"checks": default_checks.from_settings(settings), "broker_queues": queues.from_settings(settings)}
        derived |= {key: value for key, value in found.items() if value}
    for name in ("CELERY_BROKER_URL", "BROKER_URL"):
        if settings is not None and isinstance(getattr(settings, name, None), str):
            derived.setdefault("broker_url", getattr(settings, name))
    transport_options = getattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", None)
    if transport_options:
        derived["broker_transport_options"] = dict(transport_options)
    tls = getattr(settings, "CELERY_BROKER_USE_SSL", None)
    for app in _applications:
        derived.update(from_celery(app))
        tls = app.conf.broker_use_ssl
    if name := identity(None).name:
        derived["project"] = name
    return derived | _store_of_broker(derived, tls)


def identity(name: str | None) -> Identity:
    """Return the identity of this process's project. ``name`` is the value of the setting `project`, if it is set."""
    return of_process(name, _applications, os.environ)


def from_celery(app: Any) -> dict[str, Any]:
    """Return the monitor's settings for the broker, from a Celery application's configuration."""
    conf = app.conf
    derived: dict[str, Any] = {}
    url, _, _ = broker.connection_settings(conf)
    if url:
        derived["broker_url"] = url
    if conf.broker_transport_options:
        derived["broker_transport_options"] = dict(conf.broker_transport_options)
    derived["broker_queues"] = queues.from_application(app)
    return derived


def _store_of_broker(derived: Mapping[str, Any], tls: Any) -> dict[str, str]:
    """Return ``redis_url`` and ``key_prefix`` of the broker's Redis; empty if the broker is not Redis.

    The key prefix begins with the broker's ``global_keyprefix``, since the Redis user may be limited to it.
    """
    options = derived.get("broker_transport_options", {})
    try:
        store = broker.store_url(derived.get("broker_url"), options, tls)
    except ValueError:  # the validation of the setting `broker_url` reports this error
        return {}
    prefix = broker.key_prefix(options) if store else None
    return {key: value for key, value in (("redis_url", store), ("key_prefix", prefix)) if value is not None}


def _django_settings() -> Any:
    # The monitor's own Django settings contain only values from its configuration.
    if os.environ.get(VARIABLE) in (None, "", "monitor.settings"):
        return None
    from django.conf import settings  # noqa: PLC0415

    try:
        settings.INSTALLED_APPS  # noqa: B018 - the first access imports the settings
    except Exception as error:
        from monitor.config import ConfigError, ConfigProblem  # noqa: PLC0415 - not in the project's own processes

        message = f"the project's settings cannot be imported ({type(error).__name__}: {error})"
        raise ConfigError([ConfigProblem(VARIABLE, os.environ[VARIABLE], message)]) from error
    return settings
