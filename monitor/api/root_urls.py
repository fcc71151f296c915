"""The probes at root paths, for those who opt in: ``path("", include("monitor.api.root_urls"))``."""

from __future__ import annotations

from django.urls import re_path

from monitor.api.targets import ROOT_PARENTS, ROOT_PROBES
from monitor.api.views import probe

app_name = "monitor_root"

urlpatterns = [
    *(re_path(rf"^{path}/?$", probe, {"what": target.what}) for path, target in ROOT_PROBES.items()),
    *(re_path(rf"^{what}/(?P<name>[^/]+)/?$", probe, {"what": what}) for what in ROOT_PARENTS),
]
