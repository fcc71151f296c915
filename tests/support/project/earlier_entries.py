"""Script that stores our beat entries in the project's database, as earlier versions of the monitor did."""

import django

django.setup()

from django_celery_beat.schedulers import DatabaseScheduler  # noqa: E402
from shop.celery import app  # noqa: E402

ENTRIES = {
    "celery-health-monitor": ("dispatch", 0.5, "monitor.dispatch"),
    "celery-health-monitor-pulse": ("pulse", 5.0, "monitor.rounds"),
}

DatabaseScheduler(app).update_from_dict(
    {
        name: {
            "task": f"monitor.tasks.{task}",
            "schedule": seconds,
            "options": {"queue": queue, "expires": 7200, "ignore_result": True},
        }
        for name, (task, seconds, queue) in ENTRIES.items()
    }
)
