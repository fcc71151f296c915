"""Celery application whose workers have the agent, with tasks that take time. Broker and store are two servers."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery
from celery.concurrency.base import BasePool
from celery.worker.control import control_command

import monitor

app = Celery("probed", broker=os.environ["CELERY_BROKER_URL"])
app.conf.task_default_queue = "probed"
app.conf.worker_hijack_root_logger = False
if os.environ.get("PROBED_INSTALLED") != "no":
    monitor.install(app)


@app.task(ignore_result=True)
def sleep(seconds: float) -> None:
    """Occupy a slot for so long."""
    time.sleep(seconds)


@app.task(ignore_result=True)
def spin(seconds: float) -> None:
    """Keep the interpreter busy for so long, and on a green pool the entire worker."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


class OtherPool(BasePool):  # type: ignore[misc]
    """Pool that is not one of Celery's, and does not execute its tasks."""

    def on_apply(self, *_: Any, **__: Any) -> None:
        """Keep the task without executing it."""


@control_command(args=[("seconds", float)])
def block(state: Any, seconds: float) -> None:
    """Block the worker's event loop for so long."""
    time.sleep(seconds)
