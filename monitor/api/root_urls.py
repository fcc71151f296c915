"""URLs of the probes at root paths. A project includes them with ``path("", include("monitor.api.root_urls"))``."""

from __future__ import annotations

from django.urls import re_path

from monitor.api.targets import ROOT_NAMED_ENDPOINTS, ROOT_PROBES
from monitor.api.views import probe

app_name = "monitor_root"

urlpatterns = [
    *(re_path(rf"^{path}/?$", probe, {"endpoint": target.endpoint}) for path, target in ROOT_PROBES.items()),
    *(re_path(rf"^{endpoint}/(?P<name>[^/]+)/?$", probe, {"endpoint": endpoint}) for endpoint in ROOT_NAMED_ENDPOINTS),
]
