"""The system check that finds URLs of the monitor behind a pattern of the project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.core.checks import CheckMessage
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import URLPattern, URLResolver, include, path, re_path, register_converter
from django.views.generic import TemplateView

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("django_is_set_up")
Patterns = list[URLPattern | URLResolver]


class _Broken:
    """Converter that needs a database."""

    regex = "[a-z]+"

    def to_python(self, value: str) -> str:
        raise ConnectionError

    def to_url(self, value: str) -> str:
        raise ConnectionError


register_converter(_Broken, "broken")


def front_end(request: HttpRequest, **_: str) -> HttpResponse:
    """Return the page of a single-page front end."""
    return HttpResponse("<!doctype html>")


def found(patterns: Patterns) -> list[CheckMessage]:
    """Return the warnings about a URLconf with these patterns."""
    from monitor.dashboard.system_checks import check_urls

    urlconf = ModuleType("project_urls")
    urlconf.urlpatterns = patterns  # type: ignore[attr-defined]
    return check_urls(urlconf)


def api() -> Any:
    """Return the URLs of the API, as a project includes them."""
    return include("monitor.api.urls")


def everything() -> URLPattern:
    """Return the usual catch-all pattern."""
    return re_path(r".*", front_end)


RIGHT: dict[str, Callable[[], Patterns]] = {
    "in front": lambda: [path("api/health/", api()), everything()],
    "without a catch-all": lambda: [path("", front_end), path("api/health/", api())],
    "not included": lambda: [everything()],
    "a catch-all that leaves out the API": lambda: [re_path(r"^(?!api/).*$", front_end), path("api/health/", api())],
    "a catch-all of another prefix": lambda: [path("app/<path:rest>", front_end), path("api/health/", api())],
    "other views of the same prefix": lambda: [path("api/health/db/", front_end), path("api/health/", api())],
    "an include of the same prefix": lambda: [
        path("api/", include([path("users/", front_end)])),
        path("api/health/", api()),
    ],
    "namespaced": lambda: [
        path("internal/", include(([path("health/", api())], "internal"), namespace="inner")),
        everything(),
    ],
    "two mounts": lambda: [path("a/", api()), path("b/", include("monitor.api.urls", namespace="b")), everything()],
    "regular expression": lambda: [re_path(r"^api/(?:v1/)?health/", api()), everything()],
    "below a parameter": lambda: [path("<slug:tenant>/health/", api()), path("<path:rest>", front_end)],
    "below a group": lambda: [re_path(r"^(?P<tenant>[0-9]{4})/health/", api()), everything()],
    "below a converter that raises": lambda: [path("<broken:tenant>/health/", api()), everything()],
    "behind a converter that raises": lambda: [path("<broken:tenant>/<path:x>", front_end), path("api/health/", api())],
    "at the root": lambda: [path("", include("monitor.api.root_urls")), everything()],
    "translated": lambda: [*i18n_patterns(path("health/", api())), everything()],
    "translated without prefix": lambda: [
        *i18n_patterns(path("health/", api()), prefix_default_language=False),
        everything(),
    ],
    "the page": lambda: [path("health/", include("monitor.dashboard.urls")), everything()],
    "no patterns": list,
}

WRONG: dict[str, tuple[Callable[[], Patterns], str, str]] = {
    "regular expression": (lambda: [everything(), path("api/health/", api())], "all URLs", "'.*'"),
    "anchored": (lambda: [re_path(r"^.*$", front_end), path("api/health/", api())], "below /api/health/", "'^.*$'"),
    "path converter": (lambda: [path("<path:rest>", front_end), path("api/health/", api())], "all URLs", "<path:rest>"),
    "a catch-all in an include": (
        lambda: [path("", include([everything()])), path("api/health/", api())],
        "all URLs",
        "'.*'",
    ),
    "below the same prefix": (
        lambda: [path("api/<path:rest>", front_end), path("api/health/", api())],
        "below /api/health/",
        "'api/<path:rest>'",
    ),
    "namespaced": (
        lambda: [everything(), path("internal/", include(([path("health/", api())], "internal")))],
        "below /internal/health/",
        "'.*'",
    ),
    "below a parameter": (
        lambda: [path("<slug:shop>/<path:rest>", front_end), path("<slug:tenant>/health/", api())],
        "below /1/health/",
        "<slug:shop>/<path:rest>",
    ),
    "translated": (lambda: [everything(), *i18n_patterns(path("health/", api()))], "below /en-us/health/", "'.*'"),
    "translated without prefix": (
        lambda: [everything(), *i18n_patterns(path("health/", api()), prefix_default_language=False)],
        "below /health/",
        "'.*'",
    ),
    "at the root": (lambda: [everything(), path("", include("monitor.api.root_urls"))], "/livez/, /healthz/", "'.*'"),
    "the page": (
        lambda: [everything(), path("health/", include("monitor.dashboard.urls"))],
        "all URLs of the health monitor below /health/",
        "'.*'",
    ),
    "one view": (
        lambda: [path("api/health/uptime/", front_end), path("api/health/", api())],
        "answers /api/health/uptime/ of",
        "'api/health/uptime/'",
    ),
}


@pytest.mark.parametrize("patterns", RIGHT.values(), ids=RIGHT.keys())
def test_no_warning_for_a_right_project(patterns: Callable[[], Patterns]) -> None:
    """The monitor's own view is the first that matches."""
    assert found(patterns()) == []


@pytest.mark.parametrize(("patterns", "taken", "route"), WRONG.values(), ids=WRONG.keys())
def test_a_warning_names_the_pattern(patterns: Callable[[], Patterns], taken: str, route: str) -> None:
    """And the paths that it takes, its view, and what to do. One warning for each prefix."""
    [warning] = found(patterns())
    assert warning.id == "monitor.W001"
    assert taken in warning.msg
    assert route in warning.msg
    assert f"{__name__}.front_end" in warning.msg
    assert "before the pattern" in str(warning.hint)


def test_a_class_based_view_has_its_name() -> None:
    """Its function has the name `view` in all projects."""
    patterns = [re_path(r".*", TemplateView.as_view(template_name="index.html")), path("api/health/", api())]
    assert "django.views.generic.base.TemplateView answers" in found(patterns)[0].msg


@override_settings(FORCE_SCRIPT_NAME="/shop")
def test_a_script_name_changes_nothing() -> None:
    """Django removes it before it resolves a path."""
    assert found([path("api/health/", api()), everything()]) == []
    assert len(found([everything(), path("api/health/", api())])) == 1


ADMIN = """
from django.contrib.admin import AdminSite, site
from django.urls import include, path, re_path
from tests.unit.dashboard.test_system_checks import front_end

class Office(AdminSite):
    def get_urls(self):
        return [{before} *super().get_urls()]

urlpatterns = [{patterns}]
"""


@pytest.mark.parametrize(
    ("before", "patterns", "below"),
    [
        pytest.param("", 'path("admin/", site.urls), re_path(".*", front_end)', None, id="in front"),
        pytest.param("", 'path("back/office/", Office().urls), re_path(".*", front_end)', None, id="own path"),
        pytest.param("", 'path("<slug:shop>/admin/", site.urls)', None, id="below a parameter"),
        pytest.param("", 're_path(".*", front_end), path("admin/", site.urls)', "/admin/monitoring/", id="behind"),
        pytest.param(
            're_path("^.*$", front_end),', 'path("office/", Office().urls)', "/office/monitoring/", id="in the site"
        ),
    ],
)
def test_the_page_in_the_admin(tmp_path: Path, before: str, patterns: str, below: str | None) -> None:
    """`manage.py check` finds it: no line of the project includes this page."""
    (tmp_path / "shop_urls.py").write_text(ADMIN.format(before=before, patterns=patterns))
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.support.admin_shop.settings",
        "SHOP_DATABASE": str(tmp_path / "shop.sqlite3"),
        "SHOP_URLCONF": "shop_urls",
        "TEST_REDIS_URL": "redis://127.0.0.1:1/0",
        "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT))),
    }
    command = [sys.executable, "-m", "django", "check", "--fail-level", "WARNING"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    if below is None:
        assert done.returncode == 0, done.stderr
    else:
        assert f"(monitor.W001) The view {__name__}.front_end answers all URLs" in done.stderr
        assert f"below {below}," in done.stderr
