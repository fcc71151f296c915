"""A user's Celery application: one line of ours, and tasks that behave well or badly.

Works without the monitor's own dependencies.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from typing import Any

import redis
from celery import Celery
from celery.signals import celeryd_after_setup
from celery.utils.nodenames import worker_direct
from kombu import Queue
from kombu.common import Broadcast

import monitor
from soak import EXECUTED

app = Celery("shop")
app.config_from_object("soak.user_settings")
if os.environ.get("SHOP_INSTRUMENTED") != "no":
    monitor.install(app)


if os.environ.get("SHOP_SHORT_LIVED"):

    @celeryd_after_setup.connect
    def consume_short_lived(sender: str, instance: Any, **_: Any) -> None:
        """Queues that live and die with this process, besides those that -Q names."""
        instance.app.amqp.queues.select_add(worker_direct(str(sender)))
        instance.app.amqp.queues.select_add(Broadcast("reload"))
        instance.app.amqp.queues.select_add(Queue(f"replies.{os.getpid()}", expires=60))


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


@app.task(name="shop.limited", rate_limit="1/h")
def limited() -> None:
    """Be executed once an hour."""


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
