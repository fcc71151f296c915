"""Alias of `monitor.standalone.settings`, for users who have written down this name."""

from monitor.standalone.settings import *  # noqa: F403 - a settings module
