"""Django application of the monitor, for ``INSTALLED_APPS += ["monitor"]``."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks

from monitor.lib.extras import MissingExtra


class MonitorConfig(AppConfig):  # type: ignore[misc]
    """Django application that installs the probes before Django's handlers, and the dashboard in admin sites.

    The application imports no checks and no URLs.
    """

    name = "monitor"
    label = "celery_health_monitor"
    verbose_name = "Health monitor"

    def ready(self) -> None:
        """Install the probes, the dashboard and the system check. Django calls this method when all apps are loaded.

        A project's workers have the same INSTALLED_APPS as its web servers, and need not have the extra ``web``.
        Without the extra, nothing is installed, and a system check says so.
        """
        try:
            from monitor.api import wrapper  # noqa: PLC0415 - Django's handlers need loaded applications
        except MissingExtra as error:
            _register_warning(str(error))
            return
        wrapper.install()
        if apps.is_installed("django.contrib.admin"):
            from monitor.dashboard import admin_site  # noqa: PLC0415 - the admin needs loaded applications

            admin_site.install()
        checks.register(check_urls, checks.Tags.urls)


def check_urls(**_: Any) -> list[checks.CheckMessage]:
    """Return the warnings about URLs of the monitor that other views of the project answer. A Django system check."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    from monitor.dashboard import system_checks  # noqa: PLC0415 - not needed in a project's workers

    return system_checks.check_urls(settings.ROOT_URLCONF)


def _register_warning(text: str) -> None:
    def warn(**_: Any) -> list[checks.CheckMessage]:
        return [checks.Warning(f"No probes and no dashboard: {text}", id="monitor.W002")]

    checks.register(warn)
