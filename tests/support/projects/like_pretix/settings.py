"""Five declared queues and routes in a list; three caches, two of which are the same; the package imports no app."""

# ruff: noqa: F403, F405

from common import *
from kombu import Queue

DATABASES = {"default": sqlite("pretix")}
OPTIONS = {
    "CLIENT_CLASS": "django_redis.client.DefaultClient",
    "REDIS_CLIENT_KWARGS": {"health_check_interval": 30},
    "PASSWORD": "swordfish",
}
LOCATION = REDIS_URL.replace(":swordfish@", "")
CACHES = {
    "redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": LOCATION, "OPTIONS": OPTIONS},
    "redis_sessions": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": LOCATION, "OPTIONS": OPTIONS},
}
CACHES["default"] = CACHES["redis"]
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_QUEUES = tuple(
    Queue(name, routing_key=f"{name}.#") for name in ("default", "checkout", "mail", "background", "notifications")
)
CELERY_TASK_ROUTES = (
    [
        ("pretix.base.services.cart.*", {"queue": "checkout"}),
        ("pretix.base.services.mail.*", {"queue": "mail"}),
        ("pretix.base.services.quotas.*", {"queue": "background"}),
        ("pretix.api.webhooks.*", {"queue": "notifications"}),
    ],
)
