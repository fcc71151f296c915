"""Routes in a table; three caches; a second database; one alias is not a valid name of a check."""

# ruff: noqa: F403, F405

from common import *

DATABASES = {"default": sqlite("baserow"), "user tables": sqlite("baserow")}
CACHES = {
    alias: {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
        "KEY_PREFIX": f"baserow-{alias}-cache",
        "VERSION": None,
    }
    for alias in ("default", "generated-models", "cachalot")
}
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_ROUTES = {
    "baserow.contrib.database.export.tasks.run_export_job": {"queue": "export"},
    "baserow.core.usage.tasks": {"queue": "export"},
    "baserow.core.jobs.tasks.clean_up_jobs": {"queue": "export"},
}
