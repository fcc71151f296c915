"""Django application of the monitor, for ``INSTALLED_APPS += ["monitor"]``."""

from __future__ import annotations

from django.apps import AppConfig, apps


class MonitorConfig(AppConfig):  # type: ignore[misc]
    """Django application that installs the probes before Django's handlers, and the dashboard in admin sites.

    The application imports no checks and no URLs.
    """

    name = "monitor"
    label = "celery_health_monitor"
    verbose_name = "Health monitor"

    def ready(self) -> None:
        """Install the probes and the dashboard. Django calls this method when all applications are loaded."""
        from monitor.api import wrapper  # noqa: PLC0415 - Django's handlers need loaded applications

        wrapper.install()
        if apps.is_installed("django.contrib.admin"):
            from monitor.dashboard import admin_site  # noqa: PLC0415 - the admin needs loaded applications

            admin_site.install()
