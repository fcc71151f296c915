"""The same project with a single-page front end, whose pattern comes before the API."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path

from tests.support.admin_shop.urls import office


@login_not_required
def front_end(request: HttpRequest) -> HttpResponse:
    """Return the page of the front end."""
    return HttpResponse("<!doctype html><title>Shop</title><div id=root></div>")


urlpatterns = [
    path("office/admin/", office.urls),
    re_path(r".*", front_end),
    path("api/health/", include("monitor.api.urls")),
]
