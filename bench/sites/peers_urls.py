"""Where the packages answer. Each check as the package documents it."""

import os

from django.urls import path
from health_check.contrib.celery import Ping
from health_check.contrib.redis import Redis
from health_check.views import HealthCheckView
from redis.asyncio import Redis as AsyncRedis
from watchman.views import status

from bench.sites.peers_celery import app


def _redis() -> AsyncRedis:
    return AsyncRedis.from_url(os.environ["BENCH_REDIS_URL"])


_THREE = [
    "health_check.checks.Database",
    (Redis, {"client_factory": _redis}),
    "health_check.contrib.psutil.Disk",
]

urlpatterns = [
    path("health-check/", HealthCheckView.as_view(checks=[*_THREE, (Ping, {"app": app})])),
    path("health-check-without-celery/", HealthCheckView.as_view(checks=_THREE)),
    path("watchman/", status),
]
