"""Celery application, which the package does not import."""

import os

from celery import Celery

import monitor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "like_pretix.settings")

app = Celery("pretix")
app.config_from_object("django.conf:settings", namespace="CELERY")
monitor.install(app)
