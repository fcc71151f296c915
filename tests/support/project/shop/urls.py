"""URLs of the shop, with the second of the three lines."""

from django.urls import include, path

from shop import views

urlpatterns = [path("", views.home), path("stock/", views.stock)]
urlpatterns += [path("api/health/", include("monitor.api.urls"))]
