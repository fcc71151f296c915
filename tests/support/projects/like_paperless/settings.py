"""One queue; two caches with Django's own backend; a key prefix for the broker."""

# ruff: noqa: F403, F405

from common import *

DATABASES = {"default": sqlite("paperless")}
CACHES = {
    alias: {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "paperless-",
    }
    for alias in ("default", "read-cache")
}
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "paperless-"}
CELERY_WORKER_MAX_TASKS_PER_CHILD = 1
CELERY_BEAT_SCHEDULE = {"train": {"task": "train", "schedule": 3600.0, "options": {"expires": 3540.0}}}
