"""The Celery application of the peers' project, whose worker they ping; and watchman's check of it, which is ours."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("peers", broker=os.environ["BENCH_REDIS_URL"], backend=os.environ["BENCH_REDIS_URL"])
app.conf.task_default_queue = "peers"
app.conf.broker_connection_retry_on_startup = True


def watchman_celery() -> dict[str, dict[str, bool]]:
    """A ping with the time limit that django-health-check has (watchman ships no Celery check)."""
    return {"celery": {"ok": bool(app.control.ping(timeout=1.0))}}
