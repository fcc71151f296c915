"""Settings of the warehouse. The broker is in the settings unless ``WAREHOUSE_BROKER_IN_APPLICATION`` is set."""

import os

from warehouse import delays

delays.begin("SETTINGS")
if os.environ.get("WAREHOUSE_IS_LARGE"):
    from warehouse import libraries

    libraries.import_all()

SECRET_KEY = "not secret: the warehouse is a test"
ROOT_URLCONF = "warehouse.urls"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django_celery_beat",
    "warehouse.apps.WarehouseConfig",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
if not os.environ.get("WAREHOUSE_BROKER_IN_APPLICATION"):
    CELERY_BROKER_URL = os.environ["WAREHOUSE_BROKER_URL"]
CELERY_TASK_DEFAULT_QUEUE = "warehouse"
MONITOR = {"defaults": {"interval": "2s"}}
