"""The page, where a server of ours or a project wants it: ``path("monitoring/", include("monitor.dashboard.urls"))``.

In the admin site it is without a line in any URLconf: see `monitor.dashboard.admin_site`.
"""

from __future__ import annotations

from django.urls import path

from monitor.dashboard.views import asset, page

app_name = "monitor_dashboard"

ASSETS = path("static/<slug:version>/<path:path>", asset, name="asset")

urlpatterns = [path("", page, name="page"), ASSETS]
