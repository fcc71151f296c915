"""URLs of the monitor's web server."""

from __future__ import annotations

from django.urls import include, path
from django.views.generic import RedirectView

from monitor.dashboard.views import session

urlpatterns = [
    path("api/health/", include("monitor.api.urls")),
    path("admin/monitoring/session", session),
    path("admin/monitoring/", include("monitor.dashboard.urls")),
    path("", include("monitor.api.root_urls")),
    path("", RedirectView.as_view(url="admin/monitoring/")),
]
