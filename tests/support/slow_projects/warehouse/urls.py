"""URLs of the warehouse: none."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
