"""Log filter that removes the traceback from records of requests that Django refuses, for example for a wrong Host.

Django logs a traceback for each refused request, so any client could fill the log. The filter is added to Django's
loggers. It changes only records of requests for the monitor's paths.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.urls import resolve

from monitor.api import mounts

_OWN_APPS = frozenset({"monitor", "monitor_root", "monitor_dashboard"})
_PAGE_IN_ADMIN = "monitoring"


class WithoutTraceback(logging.Filter):
    """Log filter that removes the traceback from records of refused requests; on all paths if ``everywhere`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.everywhere = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Remove the traceback, and return True, so that the record is logged."""
        request = getattr(record, "request", None)
        if record.exc_info and request is not None and (self.everywhere or _is_ours(request.path_info)):
            record.exc_info = record.exc_text = None
        return True


_filter = WithoutTraceback()


def install(*, everywhere: bool = False) -> None:
    """Add the filter to the loggers of refused requests. A later call without ``everywhere`` does not unset it."""
    _filter.everywhere = _filter.everywhere or everywhere
    for refusal in _kinds(SuspiciousOperation):
        logging.getLogger(f"django.security.{refusal.__name__}").addFilter(_filter)


def _kinds(parent: type[Exception]) -> Iterator[type[Exception]]:
    yield parent
    for child in parent.__subclasses__():
        yield from _kinds(child)


def _is_ours(path: str) -> bool:
    try:
        if mounts.covers(mounts.discover(settings.ROOT_URLCONF), path):
            return True
        match = resolve(path)
    except Exception:  # noqa: BLE001 - the path is unknown, or the URLconf cannot be imported
        return False
    return not _OWN_APPS.isdisjoint(match.app_names) or match.url_name == _PAGE_IN_ADMIN
