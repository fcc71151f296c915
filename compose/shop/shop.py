"""A project with one Celery application and one task. The last line adds the monitor's agent to its workers."""

import os

from celery import Celery

import monitor

app = Celery("shop", broker=os.environ["SHOP_BROKER_URL"])
app.conf.task_ignore_result = True


@app.task
def deliver(order):
    """Deliver an order."""
    return f"order {order} is delivered"


monitor.install(app)
