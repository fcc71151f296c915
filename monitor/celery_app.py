"""Alias of `monitor.standalone.celery_app`, for users who have written down this name."""

from monitor.standalone.celery_app import app

__all__ = ["app"]
