"""URLs of the page. A project includes them with ``path("monitoring/", include("monitor.dashboard.urls"))``.

For admin sites, this is not needed: see `monitor.dashboard.admin_site`.
"""

from __future__ import annotations

from django.urls import path

from monitor.dashboard.views import asset, page

app_name = "monitor_dashboard"

ASSETS = path("static/<slug:version>/<path:path>", asset, name="asset")

urlpatterns = [path("", page, name="page"), ASSETS]
