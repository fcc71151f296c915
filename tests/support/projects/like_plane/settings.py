"""RabbitMQ as the broker; a replica of the database; a cache with TLS options in ``CONNECTION_POOL_KWARGS``."""

# ruff: noqa: F403, F405

import os

from common import *

DATABASES = {"default": sqlite("plane"), "replica": sqlite("plane")}
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.DefaultClient",
            **({"CONNECTION_POOL_KWARGS": {"ssl_cert_reqs": False}} if REDIS_URL.startswith("rediss") else {}),
        },
    }
}
CELERY_BROKER_URL = os.environ.get("PROJECT_AMQP_URL", "amqp://guest:swordfish@127.0.0.1:1//")
MONITOR = {"redis_url": REDIS_URL}
