"""URLs of a project that uses the root paths."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("", include("monitor.api.root_urls"))]
