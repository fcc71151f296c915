"""Patch of Django's ``AdminSite`` that adds the page at ``monitoring/`` to each admin site of a project."""

from __future__ import annotations

import functools
from typing import Any


def install() -> None:
    """Add the page to the URLs of all admin sites. Further calls do nothing.

    The page's URLs are first, because the last pattern of an admin site matches every path. The class is patched and
    not an instance, because a project's URLconf may create admin sites later.
    """
    from django.contrib.admin.sites import AdminSite  # noqa: PLC0415 - it cannot be imported before the apps are loaded

    original = AdminSite.get_urls
    if getattr(original, "_has_monitoring", False):
        return

    @functools.wraps(original)
    def get_urls(self: Any) -> list[Any]:
        return [*_patterns(self), *original(self)]

    get_urls._has_monitoring = True  # type: ignore[attr-defined]
    AdminSite.get_urls = get_urls


def _patterns(site: Any) -> list[Any]:
    from django.urls import include, path  # noqa: PLC0415 - not needed in a project's workers, which have this app too

    from monitor.dashboard import urls, views  # noqa: PLC0415

    return [path("monitoring/", include([path("", views.page_in(site), name="monitoring"), urls.ASSETS]))]
