"""A user's Celery application: one line of ours, and tasks that behave well or badly.

Configured by the environment that `soak.nodes` gives to its workers. Works without the monitor's own dependencies.
"""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from typing import Any

import redis
from celery import Celery

import monitor
from soak import EXECUTED


class Configuration:
    """In an object, so that Celery does not look for a ``celeryconfig`` module: there is one in this directory."""

    broker_url = os.environ["CELERY_BROKER_URL"]
    broker_transport_options = json.loads(os.environ.get("SHOP_TRANSPORT_OPTIONS", "{}"))
    broker_connection_retry_on_startup = True
    task_ignore_result = True


app = Celery("shop")
app.config_from_object(Configuration)
if os.environ.get("SHOP_INSTRUMENTED") != "no":
    monitor.install(app)


@app.task(name="shop.noop", bind=True)
def noop(task: Any) -> None:
    """Say that it was executed, and by whom. The stream's ids are times by Redis' clock."""
    request = task.request
    entry = {"node": request.hostname, "queue": request.delivery_info["routing_key"]}
    _redis().xadd(EXECUTED, entry, maxlen=20_000, approximate=True)


@app.task(name="shop.sleep")
def sleep(seconds: float) -> None:
    """Take long, legitimately."""
    time.sleep(seconds)


@app.task(name="shop.deadlock")
def deadlock() -> None:
    """Wait for oneself, for ever."""
    lock = threading.Lock()
    with lock:
        lock.acquire()


@app.task(name="shop.held")
def held(path: str) -> None:
    """Wait until a file is there."""
    while not os.path.exists(path):  # noqa: PTH110 - as a user would write it
        time.sleep(0.05)


@app.task(name="shop.spin")
def spin(path: str) -> None:
    """Never yield until a file is there: with gevent, nothing else of the process gets a turn."""
    while not os.path.exists(path):  # noqa: PTH110
        sum(range(20_000))


@functools.cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(os.environ["TEST_REDIS_URL"])
