"""The path of the API in the page."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from django.test import override_settings
from django.urls import clear_url_caches, include, path, set_script_prefix

pytestmark = pytest.mark.usefixtures("django_is_set_up")


def api_path(*patterns: Any, script_prefix: str = "/") -> str | None:
    """Return the path that the page of a project with these patterns requests."""
    from monitor.dashboard.views import _api

    urlconf = ModuleType("project_urls")
    urlconf.urlpatterns = list(patterns)  # type: ignore[attr-defined]
    set_script_prefix(script_prefix)
    try:
        with override_settings(ROOT_URLCONF=urlconf):
            clear_url_caches()
            return _api()
    finally:
        set_script_prefix("/")
        clear_url_caches()


def api() -> Any:
    """Return the URLs of the API, as a project includes them."""
    return include("monitor.api.urls")


def test_the_api_is_found() -> None:
    """At its path, below the script name of the project."""
    assert api_path(path("api/health/", api())) == "/api/health/"
    assert api_path(path("api/health/", api()), script_prefix="/shop/") == "/shop/api/health/"


def test_the_api_is_found_below_a_namespace() -> None:
    """A project may include it in a URLconf with its own namespace."""
    inner = include(([path("health/", api())], "inner"))
    assert api_path(path("internal/", inner)) == "/internal/health/"
    assert api_path(path("internal/", inner), script_prefix="/shop/") == "/shop/internal/health/"


def test_no_api() -> None:
    """The page then shows what to add."""
    assert api_path() is None
    assert api_path(path("<slug:tenant>/health/", api())) is None
