"""Celery application without the monitor, with the tasks of pytest-celery."""

import importlib
import os

from celery import Celery

app = Celery("watched", broker=os.environ.get("CELERY_BROKER_URL"), backend=os.environ.get("CELERY_RESULT_BACKEND"))
importlib.import_module("pytest_celery.vendors.worker.tasks")
