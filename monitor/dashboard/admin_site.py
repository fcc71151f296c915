"""The page at ``monitoring/`` of every admin site of a project, at any path and of any class."""

from __future__ import annotations

import functools
from typing import Any


def install() -> None:
    """Add the page to the URLs of admin sites, ahead of their own, whose last pattern matches every path.

    By the class, for a project's URLconf may make an admin site of its own. Done once, however often it is called.
    """
    from django.contrib.admin.sites import AdminSite  # noqa: PLC0415 - not before the apps are there

    original = AdminSite.get_urls
    if getattr(original, "_has_monitoring", False):
        return

    @functools.wraps(original)
    def get_urls(self: Any) -> list[Any]:
        return [*_patterns(self), *original(self)]

    get_urls._has_monitoring = True  # type: ignore[attr-defined]
    AdminSite.get_urls = get_urls


def _patterns(site: Any) -> list[Any]:
    from django.urls import include, path  # noqa: PLC0415 - a project's workers have this app too, and no pages

    from monitor.dashboard import urls, views  # noqa: PLC0415

    return [path("monitoring/", include([path("", views.page_in(site), name="monitoring"), urls.ASSETS]))]
