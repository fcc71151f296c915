"""Alias of `monitor.standalone.urls`, for users who have written down this name."""

from monitor.standalone.urls import urlpatterns

__all__ = ["urlpatterns"]
