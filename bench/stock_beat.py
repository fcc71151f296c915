"""A Celery application whose beat has one entry for each check, which is how it is usually done."""

from __future__ import annotations

import os

from celery import Celery

ENTRIES = int(os.environ["BENCH_ENTRIES"])
INTERVAL_SECONDS = float(os.environ["BENCH_INTERVAL_SECONDS"])
QUEUE = "stock"

app = Celery("stock_beat", broker=os.environ["BENCH_REDIS_URL"])
app.conf.beat_schedule = {
    f"c{number:05d}": {
        "task": "bench.noop",
        "schedule": INTERVAL_SECONDS,
        "args": (f"c{number:05d}",),
        "options": {"queue": QUEUE, "ignore_result": True},
    }
    for number in range(ENTRIES)
}
