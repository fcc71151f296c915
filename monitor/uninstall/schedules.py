"""Entries of the monitor in the schedule of the project's beat: rows of django-celery-beat, and keys of redbeat.

Earlier versions of the monitor stored such entries. The project's beat also removes them when it starts with the agent.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.agent import former_entries
from monitor.lib.redaction import scrub
from monitor.model.uninstall import Contents, StoredItems
from monitor.ports.uninstall import PlaceUnavailable
from monitor.project import discovery

APPLICATION = "django_celery_beat"
NAMESPACE = "CELERY"
NAMES_KEPT = 5


class _SchedulePlace:
    """A :class:`monitor.ports.uninstall.Place` with entries in a schedule."""

    _unreadable: str
    """Begin of the message if the schedule cannot be read."""

    def find(self) -> Contents:
        """Return the entries, and what only these entries use."""
        return self._guarded(removes=False)

    def remove(self) -> Contents:
        """Delete them. Return what was deleted."""
        return self._guarded(removes=True)

    def _guarded(self, *, removes: bool) -> Contents:
        try:
            found = self._names(removes=removes)
        except Exception as error:  # noqa: BLE001 - any database, and the project's configuration, may raise here
            raise PlaceUnavailable(scrub(f"{self._unreadable}: {type(error).__name__}: {error}")) from None
        return Contents(
            tuple(StoredItems(kind, len(names), tuple(names[:NAMES_KEPT])) for kind, names in found.items() if names)
        )

    def _names(self, *, removes: bool) -> Mapping[str, Sequence[str]]:
        """Return the names of the items by kind, and delete the items if ``removes``."""
        raise NotImplementedError


class DatabaseSchedulePlace(_SchedulePlace):
    """A :class:`monitor.ports.uninstall.Place`: the tables of django-celery-beat in the project's database."""

    title = "database of the project, tables of django-celery-beat"
    _unreadable = "the schedule cannot be read"

    def _names(self, *, removes: bool) -> Mapping[str, Sequence[str]]:
        importlib.import_module("django").setup()
        models: Any = importlib.import_module(f"{APPLICATION}.models")
        tasks, intervals = former_entries.stored_rows(models.PeriodicTask)
        if removes:
            former_entries.remove_rows(models.PeriodicTask, models.PeriodicTasks)
        return {"periodic tasks": tasks, "intervals that nothing else uses": intervals}


class RedbeatPlace(_SchedulePlace):
    """A :class:`monitor.ports.uninstall.Place`: the keys of redbeat."""

    title = "schedule of redbeat"
    _unreadable = "redbeat cannot be read"

    def __init__(self, app: Any) -> None:
        self._app = app

    def _names(self, *, removes: bool) -> Mapping[str, Sequence[str]]:
        schedulers: Any = importlib.import_module("redbeat.schedulers")
        conf, client = schedulers.ensure_conf(self._app), schedulers.get_redis(self._app)
        names = [name for name in former_entries.NAMES if client.exists(f"{conf.key_prefix}{name}")]
        statics = [name for name in former_entries.NAMES if client.sismember(conf.statics_key, name)]
        if removes:
            former_entries.remove_redbeat_keys(schedulers.RedBeatSchedulerEntry, self._app)
        return {"entries": names, "names of static entries": statics}


def schedule_places(application: Any) -> list[DatabaseSchedulePlace | RedbeatPlace]:
    """Return the places of the schedules that this project may use.

    ``application`` is the project's Celery application. If it is None, redbeat is configured from the Django settings.
    """
    places: list[DatabaseSchedulePlace | RedbeatPlace] = []
    settings = _project_settings()
    if settings is not None and APPLICATION in settings.INSTALLED_APPS:
        places.append(DatabaseSchedulePlace())
    app = _application(settings) if application is None else application
    if app is not None and importlib.util.find_spec("redbeat") and _uses_redbeat(app):
        places.append(RedbeatPlace(app))
    return places


def _uses_redbeat(app: Any) -> bool:
    named = any(app.conf.get(name) for name in ("redbeat_redis_url", "redbeat_key_prefix", "redbeat_redis_options"))
    return named or "redbeat" in str(app.conf.beat_scheduler).lower()


def _project_settings() -> Any:
    return importlib.import_module("django.conf").settings if discovery.has_django_project() else None


def _application(settings: Any) -> Any:
    if settings is None:
        return None
    app = importlib.import_module("celery").Celery("monitor-uninstall", set_as_current=False, fixups=[])
    app.config_from_object("django.conf:settings", namespace=NAMESPACE)
    return app
