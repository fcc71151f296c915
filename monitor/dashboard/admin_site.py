"""Installation of the page at ``monitoring/`` of each admin site of a project, at any path and of any class."""

from __future__ import annotations

import functools
from typing import Any


def install() -> None:
    """Add the page to the URLs of admin sites, before their own, whose last pattern matches every path.

    Patches the class, because a project's URLconf may create admin sites of its own. Further calls do nothing.
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
    from django.urls import include, path  # noqa: PLC0415 - a project's workers have this app too, and serve no pages

    from monitor.dashboard import urls, views  # noqa: PLC0415

    return [path("monitoring/", include([path("", views.page_in(site), name="monitoring"), urls.ASSETS]))]
