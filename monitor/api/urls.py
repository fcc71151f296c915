"""URLs of the API. A project includes them with ``path("api/health/", include("monitor.api.urls"))``."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path

from monitor.api import docs
from monitor.api.guard import guarded
from monitor.api.openapi import views
from monitor.api.targets import NAMED_ENDPOINTS, PROBES, RUNTIME_KINDS
from monitor.api.views import probe

app_name = "monitor"

_VIEWS = {name: (route, guarded(view)) for route, view, name in views()}
_, _past = _VIEWS.pop("detailed")


def detailed(request: HttpRequest, **of_the_mount: Any) -> HttpResponse:
    """Return the state of all checks now, or at a past moment."""
    return _past(request) if "at" in request.GET else probe(request, "detailed", **of_the_mount)


# Django reads the attributes that decorators have set on `probe` from the view in the URLconf, which is `detailed`.
detailed.__dict__.update(probe.__dict__)

urlpatterns = [
    re_path(r"^detailed/?$", detailed, name="detailed"),
    *(
        re_path(rf"^{endpoint}/?$", probe, {"endpoint": endpoint}, name=endpoint)
        for endpoint in PROBES
        if endpoint != "detailed"
    ),
    re_path(rf"^checks/(?P<name>(?:{RUNTIME_KINDS}):.*?[^/])/?$", probe, {"endpoint": "checks"}, name="check"),
    *(
        re_path(rf"^{endpoint}/(?P<name>[^/]+)/?$", probe, {"endpoint": endpoint}, name=endpoint.removesuffix("s"))
        for endpoint in NAMED_ENDPOINTS
    ),
    *(re_path(rf"^{route}/?$", view, name=name) for name, (route, view) in _VIEWS.items()),
    re_path(r"^openapi\.json/?$", guarded(docs.description), name="openapi"),
    re_path(r"^docs/?$", guarded(docs.page), name="docs"),
    path("docs/static/<slug:version>/<str:file>", docs.asset, name="docs-asset"),
]
