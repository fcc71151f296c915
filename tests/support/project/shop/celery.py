"""Celery application of the shop, with the third of the three lines."""

import os

from celery import Celery

import monitor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["shop"])
if not os.environ.get("SHOP_WITHOUT_MONITOR"):
    monitor.install(app, run_checks=bool(os.environ.get("SHOP_RUNS_CHECKS")))
