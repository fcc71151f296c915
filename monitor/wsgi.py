"""Alias of `monitor.standalone.wsgi`, for users who have written down this name."""

from monitor.standalone.wsgi import application

__all__ = ["application"]
