"""What the Django + Celery project around us says of itself, so that nobody has to write it twice.

Imports neither Celery nor, at import time, Django: a probe process and a worker both ask here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from monitor.config import ConfigError, Problem

VARIABLE = "DJANGO_SETTINGS_MODULE"

_installed: list[Any] = []


def remember(app: Any) -> bool:
    """This is the project's Celery application (`monitor.install(app)` was called). False when that was known."""
    if app in _installed:
        return False
    _installed.append(app)
    return True


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
    for app in _installed:
        derived.update(from_celery(app))
    if str(derived.get("broker_url", "")).startswith(("redis://", "rediss://")):
        derived["redis_url"] = derived["broker_url"]
    return derived


def from_celery(app: Any) -> dict[str, Any]:
    """What a Celery application's own configuration says of its broker."""
    conf = app.conf
    derived: dict[str, Any] = {}
    broker = conf.broker_read_url or conf.broker_url
    if isinstance(broker, str):
        derived["broker_url"] = broker
    if conf.broker_transport_options:
        derived["broker_transport_options"] = dict(conf.broker_transport_options)
    queues = conf.task_queues
    names = list(queues) if isinstance(queues, Mapping) else [getattr(queue, "name", queue) for queue in queues or ()]
    derived["broker_queues"] = [str(name) for name in names] or [str(conf.task_default_queue)]
    return derived


def _django_settings() -> Any:
    # Our own settings are made of the configuration: there is nothing to be learned from them.
    if os.environ.get(VARIABLE) in (None, "", "monitor.settings"):
        return None
    from django.conf import settings  # noqa: PLC0415

    try:
        settings.INSTALLED_APPS  # noqa: B018 - settings are imported when the first of them is asked for
    except Exception as error:
        hint = f"the project's settings cannot be imported ({type(error).__name__}: {error})"
        raise ConfigError([Problem(VARIABLE, os.environ[VARIABLE], hint)]) from error
    return settings
