"""Settings of a Django project that has the leading health packages installed, each with the same four checks."""

import os
from urllib.parse import urlsplit

_database = urlsplit(os.environ["BENCH_DATABASE_URL"])

SECRET_KEY = "bench"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "bench.sites.peers_urls"
MIDDLEWARE: list[str] = []
INSTALLED_APPS = ["health_check", "watchman"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
MEDIA_ROOT = os.environ.get("BENCH_MEDIA_ROOT", "/tmp")
# Connections are kept between requests, which is what a project that cares for speed does.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database.path.lstrip("/"),
        "USER": _database.username,
        "PASSWORD": _database.password,
        "HOST": _database.hostname,
        "PORT": str(_database.port),
        "CONN_MAX_AGE": None,
    }
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["BENCH_REDIS_URL"]}
}
# Watchman ships database and cache (here: Redis) checks, and storage, which is its look at the disk.
WATCHMAN_CHECKS = (
    "watchman.checks.databases",
    "watchman.checks.caches",
    "watchman.checks.storage",
    "bench.sites.peers_celery.watchman_celery",
)
WATCHMAN_STORAGE_PATH = ""
LOGGING_CONFIG = None
