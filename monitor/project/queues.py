"""Queues of a Celery project, from its settings or from its Celery application.

The module reads attributes only. It imports neither Django nor Celery, and it changes neither the settings nor the
application. The beat schedule and the routes may contain objects of kombu, which are recognised by their attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

CELERYS_DEFAULT = "celery"
"""Celery's default of its setting ``task_default_queue``."""

_NAMES = {
    "queues": ("CELERY_TASK_QUEUES", "CELERY_QUEUES"),
    "default": ("CELERY_TASK_DEFAULT_QUEUE", "CELERY_DEFAULT_QUEUE"),
    "routes": ("CELERY_TASK_ROUTES", "CELERY_ROUTES"),
    "schedule": ("CELERY_BEAT_SCHEDULE", "CELERYBEAT_SCHEDULE"),
}
"""Names of the settings in a Django project: with Celery's usual namespace ``CELERY``, and the names before Celery 4.

If both names of a setting exist, Celery uses the first one.
"""


class _Configuration(NamedTuple):
    """The values of a Celery configuration that name queues."""

    queues: Any
    default: Any
    routes: Any
    schedule: Any


def from_settings(settings: Any) -> tuple[str, ...]:
    """Return the queues that a project's Django settings name. Empty if the settings name none.

    A route that is a function or an import path is ignored, because only a running project can evaluate it. So are
    settings with another namespace than ``CELERY``: only the application knows its namespace.
    """
    found = _Configuration(**{field: _first(settings, names) for field, names in _NAMES.items()})
    names = _names(found)
    is_silent = not found.default and names == (CELERYS_DEFAULT,)
    return () if is_silent else names


def from_application(app: Any) -> tuple[str, ...]:
    """Return the queues of a Celery application: those in its configuration, and those of its tasks.

    The tasks are read only if the application is finalized already. Reading them earlier would finalize it.
    """
    conf = app.conf
    names = (conf.task_queues, conf.task_default_queue, _get(conf, "task_routes"), _get(conf, "beat_schedule"))
    tasks = list(app.tasks.values()) if getattr(app, "finalized", False) else []
    of_tasks = (_queue_name(getattr(task, "queue", None)) for task in tasks)
    return _unique((*_names(_Configuration(*names)), *of_tasks))


def _names(configuration: _Configuration) -> tuple[str, ...]:
    """Return the names of the queues of a configuration.

    Celery sends a task without a route to the default queue. The workers consume it unless ``task_queues`` lists other
    queues. So Celery's own default ``celery`` counts only if ``task_queues`` is empty.
    """
    declared = list(_declared(configuration.queues))
    default = _queue_name(configuration.default) or CELERYS_DEFAULT
    defaults = [] if declared and default == CELERYS_DEFAULT else [default]
    return _unique([*declared, *defaults, *_of_routes(configuration.routes), *_of_schedule(configuration.schedule)])


def _declared(queues: Any) -> Iterator[str | None]:
    """Yield the names in ``task_queues``: a list of queues, or a table from names to queues."""
    if isinstance(queues, Mapping):
        for name, queue in queues.items():
            if not _is_temporary(queue):
                yield _text(name)
    elif isinstance(queues, Iterable) and not isinstance(queues, str | bytes):
        for queue in queues:
            if not _is_temporary(queue):
                yield _queue_name(queue)


def _of_routes(routes: Any) -> Iterator[str | None]:
    """Yield the names of the queues in ``task_routes``: one route, or a list of routes."""
    for route in routes if isinstance(routes, list | tuple) else [routes]:
        yield from _of_route(route)


def _of_route(route: Any) -> Iterator[str | None]:
    """Yield the names in one route: a table, or a list of pairs, from task names or patterns to destinations."""
    if isinstance(route, Mapping):
        pairs: Iterable[Any] = route.items()
    elif isinstance(route, list | tuple):
        pairs = [route] if _is_pair(route) else route
    else:
        return
    for pair in pairs:
        if _is_pair(pair):
            destination = pair[1]
            queue = destination.get("queue") if isinstance(destination, Mapping) else destination
            yield _queue_name(queue)


def _of_schedule(schedule: Any) -> Iterator[str | None]:
    """Yield the names of the queues in the options of the entries of a beat schedule."""
    for entry in schedule.values() if isinstance(schedule, Mapping) else ():
        options = entry.get("options") if isinstance(entry, Mapping) else None
        if isinstance(options, Mapping):
            yield _queue_name(options.get("queue"))


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str | re.Pattern)


def _is_temporary(queue: Any) -> bool:
    """Return whether a queue belongs to one process, or to a fanout exchange. Its messages cannot be counted."""
    if isinstance(queue, Mapping):
        return bool(queue.get("exchange_type") == "fanout" or queue.get("exclusive") or queue.get("auto_delete"))
    is_fanout = getattr(getattr(queue, "exchange", None), "type", None) == "fanout"
    return is_fanout or bool(getattr(queue, "exclusive", False)) or bool(getattr(queue, "auto_delete", False))


def _queue_name(queue: Any) -> str | None:
    """Return the name of a queue that is given as text or as an object of kombu. None for any other value."""
    return _text(queue if isinstance(queue, str) else getattr(queue, "name", None))


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str) and value else None


def _first(settings: Any, names: Iterable[str]) -> Any:
    return next((getattr(settings, name) for name in names if hasattr(settings, name)), None)


def _get(conf: Any, name: str) -> Any:
    return getattr(conf, name, None)


def _unique(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, names)))
