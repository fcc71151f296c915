"""URLs of the page, for the monitor's server or a project: ``path("monitoring/", include("monitor.dashboard.urls"))``.

Admin sites need no entry in a URLconf: see `monitor.dashboard.admin_site`.
"""

from __future__ import annotations

from django.urls import path

from monitor.dashboard.views import asset, page

app_name = "monitor_dashboard"

ASSETS = path("static/<slug:version>/<path:path>", asset, name="asset")

urlpatterns = [path("", page, name="page"), ASSETS]
