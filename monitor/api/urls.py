"""The probes, to be included where a project wants them: ``path("api/health/", include("monitor.api.urls"))``."""

from __future__ import annotations

from django.urls import re_path

from monitor.api.targets import PARENTS, PROBES
from monitor.api.views import probe

app_name = "monitor"

urlpatterns = [
    *(re_path(rf"^{what}/?$", probe, {"what": what}, name=what) for what in PROBES),
    *(re_path(rf"^{what}/(?P<name>[^/]+)/?$", probe, {"what": what}, name=what.removesuffix("s")) for what in PARENTS),
]
