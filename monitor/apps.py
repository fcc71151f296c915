"""``INSTALLED_APPS += ["monitor"]``."""

from __future__ import annotations

from django.apps import AppConfig, apps


class MonitorConfig(AppConfig):  # type: ignore[misc]
    """Puts the probes in front of Django's handlers, the dashboard in admin sites. Imports no checks and no URLs."""

    name = "monitor"
    label = "celery_health_monitor"
    verbose_name = "Health monitor"

    def ready(self) -> None:
        """Called by Django once all apps are there."""
        from monitor.api import wrapper  # noqa: PLC0415 - Django's handlers need the apps

        wrapper.install()
        if apps.is_installed("django.contrib.admin"):
            from monitor.dashboard import admin_site  # noqa: PLC0415 - likewise

            admin_site.install()
