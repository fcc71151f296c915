"""Celery application of a user, for tests of the agent. It does not know the tests."""

import json
import os
import sys
import threading
import time

from celery import Celery

sys.path.extend(filter(None, [os.environ.get("TEST_PATH")]))

app = Celery("shop", broker=os.environ["TEST_BROKER"])
app.conf.update(
    broker_transport_options=eval(os.environ.get("TEST_TRANSPORT_OPTIONS", "{}")),
    broker_use_ssl=eval(os.environ.get("TEST_USE_SSL", "None")),
    # Possible defaults of a project, which must not apply to the heartbeat.
    task_acks_late=True,
    task_default_rate_limit="1/h",
    task_annotations={"*": {"rate_limit": "1/h"}},
    task_track_started=True,
    worker_hijack_root_logger=False,
)
app.conf.update(eval(os.environ.get("TEST_CONF", "{}")))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "own %(levelname)s %(name)s %(message)s"}},
    "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.__stderr__"}},
    "loggers": {"celery": {"level": "DEBUG", "handlers": ["own"], "propagate": False}},
    "root": {"level": "INFO", "handlers": ["own"]},
}


def set_up_logging(**_):
    """Configure logging as a project does, with all lines of Celery."""
    import logging.config

    logging.config.dictConfig(LOGGING)


if os.environ.get("TEST_LOGGING") == "module":
    set_up_logging()
elif os.environ.get("TEST_LOGGING"):  # the name of a signal
    from celery import signals

    getattr(signals, os.environ["TEST_LOGGING"]).connect(set_up_logging, weak=False)
if os.environ.get("TEST_SPAWN"):
    app.conf.worker_pool_start_method = "spawn"


@app.task(rate_limit=None)
def nap(seconds):
    """Occupy a slot for a while."""
    time.sleep(seconds)


@app.task(rate_limit=None)
def modules(key, names):
    """Store the names of those of these modules that this process has imported."""
    import redis

    found = [name for name in names if name in sys.modules]
    redis.Redis.from_url(os.environ["TEST_BROKER"]).set(key, json.dumps(found))


@app.task(rate_limit=None)
def done(redis_url, key):
    """Record the execution."""
    import redis

    redis.Redis.from_url(redis_url).set(key, 1)


@app.task(rate_limit=None)
def hold(seconds):
    """Occupy a slot for a while, also where libfaketime breaks `sleep`."""
    threading.Event().wait(seconds)


@app.task
def limited():
    """Do nothing. The annotations limit this task to one execution per hour."""


nap.rate_limit = hold.rate_limit = done.rate_limit = modules.rate_limit = None  # overrides the annotations

if os.environ.get("TEST_INSTALL") == "install":
    import monitor

    monitor.install(app)
    monitor.install(app)
if os.environ.get("TEST_INSTALL") == "run_checks":
    import monitor

    monitor.install(app, run_checks=True)
if os.environ.get("TEST_INSTALL") == "autodiscover":
    app.autodiscover_tasks(["monitor"])
