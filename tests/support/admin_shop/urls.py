"""Two admin sites, the API, and the page at another path of the project."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.urls import include, path


class Office(AdminSite):
    """Admin site with a page of its own."""

    site_header = "Office"

    def get_urls(self) -> list[object]:
        """Return the URLs, its own first."""
        return super().get_urls()


office, second = Office(name="office"), AdminSite(name="second")

urlpatterns = [
    path("office/admin/", office.urls),
    path("second/", second.urls),
    path("health-page/", include("monitor.dashboard.urls")),
    path("api/health/", include("monitor.api.urls")),
]
