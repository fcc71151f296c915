"""The API, to be included where a project wants it: ``path("api/health/", include("monitor.api.urls"))``.

The probes are first; what comes behind them needs authorisation.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path

from monitor.api import docs
from monitor.api.guard import guarded
from monitor.api.openapi import views
from monitor.api.targets import NAMED, PARENTS, PROBES
from monitor.api.views import probe

app_name = "monitor"

_VIEWS = {name: (route, guarded(view)) for route, view, name in views()}
_, _past = _VIEWS.pop("detailed")


def detailed(request: HttpRequest, **of_the_mount: Any) -> HttpResponse:
    """How everything is now, or was at a moment."""
    return _past(request) if "at" in request.GET else probe(request, "detailed", **of_the_mount)


# What `probe` says of itself: Django's handlers and middleware look at the outermost view.
detailed.__dict__.update(probe.__dict__)

urlpatterns = [
    re_path(r"^detailed/?$", detailed, name="detailed"),
    *(re_path(rf"^{what}/?$", probe, {"what": what}, name=what) for what in PROBES if what != "detailed"),
    re_path(rf"^checks/(?P<name>(?:{NAMED}):.*?[^/])/?$", probe, {"what": "checks"}, name="check"),
    *(re_path(rf"^{what}/(?P<name>[^/]+)/?$", probe, {"what": what}, name=what.removesuffix("s")) for what in PARENTS),
    *(re_path(rf"^{route}/?$", view, name=name) for name, (route, view) in _VIEWS.items()),
    re_path(r"^openapi\.json/?$", guarded(docs.description), name="openapi"),
    re_path(r"^docs/?$", guarded(docs.page), name="docs"),
    path("docs/static/<slug:version>/<str:file>", docs.asset, name="docs-asset"),
]
