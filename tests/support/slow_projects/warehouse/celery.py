"""Celery application of the warehouse."""

import os

from celery import Celery

import monitor
from warehouse import delays

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "warehouse.settings")
delays.begin("APPLICATION")

app = Celery("stockroom", broker=os.environ["WAREHOUSE_BROKER_URL"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
monitor.install(app, run_checks=bool(os.environ.get("WAREHOUSE_RUNS_CHECKS")))
