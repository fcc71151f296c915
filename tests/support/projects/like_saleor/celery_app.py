"""Celery application. A task names its queue itself, and another queue is known to the workers only."""

import os

from celery import Celery

import monitor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "like_saleor.settings")

app = Celery("saleor")
app.config_from_object("django.conf:settings", namespace="CELERY")
monitor.install(app)


@app.task(queue="search")
def update_search_vectors() -> None:
    """Do nothing."""
