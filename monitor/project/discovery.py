"""Settings derived from the Django and Celery project to which this process belongs.

Every process of the project imports this module, through `monitor.install`. So the module does not import Celery, and
imports Django and `monitor.config` only inside functions.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.agent import broker
from monitor.agent.identity import Identity, of_process
from monitor.project import default_checks, queues

if TYPE_CHECKING:
    from monitor.project.facts import ProjectFacts

VARIABLE = "DJANGO_SETTINGS_MODULE"
OBSERVED_VARIABLE = "CELERY_HEALTH_MONITOR_OBSERVED"
"""Set by `monitor up`, so that its own worker is observed. Otherwise only the project's workers are observed."""

_applications: list[Any] = []
"""Known Celery applications of the project. If their settings differ, the settings of the last one are used."""


class _NamedApplication(NamedTuple):
    """Celery application of the project of which this process knows only the name."""

    main: str


_named_applications: list[_NamedApplication] = []


def add_application(app: Any) -> None:
    """Add a Celery application of the project. `monitor.install(app)` calls this."""
    if app not in _applications:
        _applications.append(app)


def is_project_process() -> bool:
    """Return whether this process has imported the project already: a worker, beat or web process of the project."""
    django_conf = sys.modules.get("django.conf")
    has_settings = django_conf is not None and django_conf.settings.configured and has_django_project()
    return bool(_applications) or has_settings


def facts() -> ProjectFacts:
    """Import the project's settings, and return the facts about the project. It contains the problem if this fails."""
    from monitor.project.facts import ProjectFacts  # noqa: PLC0415 - not in the project's own processes

    try:
        explicit, derived = explicit_settings(), derived_settings()
    except Exception as error:
        from monitor.config import ConfigError  # noqa: PLC0415 - takes a tenth of a second

        if not isinstance(error, ConfigError):
            raise
        problem = error.problems[0]
        return ProjectFacts(problem=(problem.key, problem.value, problem.hint))
    return ProjectFacts(os.environ.get(VARIABLE) or None, explicit, derived, identity(None).applications)


def facts_with_application(path: str) -> ProjectFacts:
    """Import a Celery application, such as ``shop.celery:app``, and return the facts about the project.

    The imported module may call ``monitor.install(app)``, and may set ``DJANGO_SETTINGS_MODULE``.
    """
    from monitor.project.facts import ProjectFacts  # noqa: PLC0415 - not in the project's own processes

    try:
        app = import_application(path)
    except Exception as error:  # noqa: BLE001 - a project's code may raise anything
        hint = f"should be an importable Celery application, module:attribute ({type(error).__name__}: {error})"
        return ProjectFacts(problem=("celery_app", path, hint))
    if app in _applications:
        _applications.remove(app)
    _applications.append(app)  # the last one, whose settings are used
    return facts()


def import_application(path: str) -> Any:
    """Import a Celery application, such as ``shop.celery:app``, and its configuration. Raise what its code raises."""
    module, _, attribute = path.partition(":")
    app = getattr(importlib.import_module(module), attribute or "app")
    from_celery(app)  # reads its configuration, which Celery loads lazily
    return app


def known_application() -> Any:
    """Return the project's Celery application whose settings are used, if this process has imported one, else None."""
    return _applications[-1] if _applications else None


def has_django_project() -> bool:
    """Return whether the settings module of this process belongs to a project.

    The monitor's own Django settings contain only values from its configuration.
    """
    return os.environ.get(VARIABLE) not in (None, "", "monitor.settings")


def use_names(names: tuple[str, ...]) -> None:
    """Set the names of the project's Celery applications in a process that does not import them."""
    _named_applications[:] = map(_NamedApplication, names)


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
    return of_process(name, [*_applications, *_named_applications], os.environ)


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
    if not has_django_project():
        return None
    from django.conf import settings  # noqa: PLC0415

    try:
        settings.INSTALLED_APPS  # noqa: B018 - the first access imports the settings
    except Exception as error:
        from monitor.config import ConfigError, ConfigProblem  # noqa: PLC0415 - not in the project's own processes

        message = f"the project's settings cannot be imported ({type(error).__name__}: {error})"
        raise ConfigError([ConfigProblem(VARIABLE, os.environ[VARIABLE], message)]) from error
    return settings
