"""A replica of the database; a cache; only the tasks and the workers know two of the three queues."""

# ruff: noqa: F403, F405

from common import *

DATABASES = {"default": sqlite("saleor"), "replica": sqlite("saleor")}
CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL, "TIMEOUT": 604800}}
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_DEFAULT_QUEUE = "celery"
WEBHOOK_CELERY_QUEUE_NAME = "webhooks"
UPDATE_SEARCH_VECTOR_INDEX_QUEUE_NAME = "search"
DATA_MIGRATIONS_TASKS_QUEUE_NAME = None
