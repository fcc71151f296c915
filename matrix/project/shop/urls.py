"""URLs of the project."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("api/health/", include("monitor.api.urls")),
    path("admin/", admin.site.urls),
]
