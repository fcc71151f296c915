"""The URLs of our own server."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("api/health/", include("monitor.api.urls")),
    path("", include("monitor.api.root_urls")),
]
