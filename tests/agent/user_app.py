"""A user's Celery application, as the tests of the agent start it. It knows nothing of the tests."""

import os
import time

from celery import Celery

app = Celery("shop", broker=os.environ["TEST_BROKER"])
app.conf.update(
    broker_transport_options=eval(os.environ.get("TEST_TRANSPORT_OPTIONS", "{}")),
    broker_use_ssl=eval(os.environ.get("TEST_USE_SSL", "None")),
    # What a project may have as its defaults, and the heartbeat must not get.
    task_acks_late=True,
    task_default_rate_limit="1/h",
    task_annotations={"*": {"rate_limit": "1/h"}},
    task_track_started=True,
    worker_hijack_root_logger=False,
)


@app.task(rate_limit=None)
def nap(seconds):
    """Take a slot for a while."""
    time.sleep(seconds)


@app.task
def add(x, y):
    """What every example has."""
    return x + y


if os.environ.get("TEST_INSTALL") == "install":
    import monitor

    monitor.install(app)
    monitor.install(app)
if os.environ.get("TEST_INSTALL") == "autodiscover":
    app.autodiscover_tasks(["monitor"])
