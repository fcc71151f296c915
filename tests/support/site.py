"""URLs of a small project. It includes ours statically, nested, by regular expression, and below a converter."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path


def page(request: HttpRequest, **_: str) -> HttpResponse:
    """Return a page of the project."""
    return HttpResponse(b"page")


urlpatterns = [
    path("api/health/", include("monitor.api.urls")),
    path("nested/", include([path("deep/", include("monitor.api.urls"))])),
    re_path(r"^regex/", include("monitor.api.urls")),
    path("<slug:tenant>/health/", include("monitor.api.urls")),
    path("livez", page),
    path("api/health/other/", page),
]
