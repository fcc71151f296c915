"""A user's Celery application with one task, a no-op: with ``BENCH_AGENT=1`` it has ``monitor.install(app)``."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_BROKER_URL"])
app.conf.task_default_queue = os.environ.get("BENCH_QUEUE", "celery")

if os.environ.get("BENCH_AGENT") == "1":
    import monitor

    monitor.install(app)


@app.task(name="bench.noop", ignore_result=True)
def noop() -> None:
    """Do nothing."""
