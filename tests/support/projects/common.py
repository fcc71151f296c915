"""Settings that the projects in this folder share. ``PROJECT_REDIS_URL`` contains a password."""

import os

SECRET_KEY = "not secret: the project is a test"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "monitor"]
ROOT_URLCONF = "common"
USE_TZ = True
REDIS_URL = os.environ.get("PROJECT_REDIS_URL", "redis://:swordfish@127.0.0.1:6379/0")
DIRECTORY = os.environ.get("PROJECT_DIRECTORY", ".")
urlpatterns: list[object] = []


def sqlite(name: str) -> dict[str, str]:
    """Return the settings of a database."""
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{DIRECTORY}/{name}.sqlite3"}
