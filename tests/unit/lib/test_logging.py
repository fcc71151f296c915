"""What arrives on standard error, whoever logs."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from monitor.lib import logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Leave the logging of this process as it was found."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {each: each.level for each in root.manager.loggerDict.values() if isinstance(each, logging.Logger)}
    yield
    os.environ.pop("CELERY_HEALTH_MONITOR_LOG", None)
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger, own_level in levels.items():
        logger.setLevel(own_level)


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The events on standard error; every line must be JSON."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_is_one_line_of_json(capsys):
    """With UTC time, level, logger, what was bound, and numbers as numbers."""
    logs.configure("json")
    with structlog.contextvars.bound_contextvars(check="orders", task_id="t1"):
        logs.get_logger("monitor.runner").info("check_finished", duration_ms=3.5, status="ok", share=float("nan"))
    (event,) = written(capsys)
    timestamp = str(event.pop("timestamp"))
    assert timestamp.endswith("Z") and "T" in timestamp
    assert event == {
        "event": "check_finished",
        "level": "info",
        "logger": "monitor.runner",
        "check": "orders",
        "task_id": "t1",
        "duration_ms": 3.5,
        "status": "ok",
        "share": "nan",
    }


def test_the_standard_library_takes_the_same_way(capsys):
    """Celery's, Django's and granian's lines are JSON with the same keys and context, once each."""
    for name in ("celery", "django.server", "_granian"):  # as these libraries set themselves up
        logging.getLogger(name).addHandler(logging.StreamHandler())
        logging.getLogger(name).propagate = False
    logs.configure("json")
    with structlog.contextvars.bound_contextvars(task_id="t1"):
        logging.getLogger("celery.worker").warning("lost %s", "connection")
    logging.getLogger("django.server").warning("hm")
    logging.getLogger("_granian").info("Listening")
    events = written(capsys)
    assert [(event["logger"], event["event"]) for event in events] == [
        ("celery.worker", "lost connection"),
        ("django.server", "hm"),
        ("_granian", "Listening"),
    ]
    assert events[0]["task_id"] == "t1"


def test_credentials_are_gone(capsys):
    """From texts, arguments, values, nested values, objects and tracebacks, of both libraries."""
    logs.configure("json")
    log = logs.get_logger("monitor.store")
    url = "redis://user:hunter2@host/0"
    log.warning(f"no answer from {url}", password="hunter2", nested={"urls": [url]}, error=ValueError(url))
    logging.getLogger("celery").error("Cannot connect to %s", url)
    try:
        raise ConnectionError(url)
    except ConnectionError:
        log.exception("store_failed")
        logging.getLogger("kombu").exception("failed")
    text = capsys.readouterr().err
    assert "hunter2" not in text
    events = [json.loads(line) for line in text.splitlines()]
    assert events[0]["nested"] == {"urls": ["redis://***@host/0"]}
    assert [("ConnectionError: redis://***@host/0" in str(event.get("exception"))) for event in events[2:]] == [
        True,
        True,
    ]


def test_the_console_hides_them_too(capsys):
    """A traceback for people shows no local variables: passwords live in them."""
    logs.configure("console")
    password = "hunter2"
    try:
        raise ConnectionError(f"redis://:{password}@host")
    except ConnectionError:
        logs.get_logger("x").exception("failed", check="a")
    text = capsys.readouterr().err
    assert "ConnectionError: redis://***@host" in text  # neither the line of code above it nor the URL swallowed it
    assert "check=a" in text.replace("\x1b", "")
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("level", "events"),
    [
        pytest.param("info", ["started", "slow"], id="info leaves out Celery's line for each task"),
        pytest.param("debug", ["detail", "started", "slow", "Task received"], id="debug shows everything"),
        pytest.param("warning", ["slow"], id="warning shows what needs somebody"),
    ],
)
def test_levels(capsys, level, events):
    """The level goes for both libraries."""
    logs.configure("json", level)
    log = logs.get_logger("monitor")
    log.debug("detail")
    log.info("started")
    logging.getLogger("monitor").warning("slow")
    logging.getLogger("celery.worker.strategy").info("Task received")
    assert [event["event"] for event in written(capsys)] == events


def test_configuring_again_replaces(capsys):
    """A second call changes its mind; nothing is written twice."""
    logs.configure("console", "debug")
    logs.configure("json", "info")
    logs.get_logger("a").info("once")
    assert [event["event"] for event in written(capsys)] == ["once"]


SCRIPT = """
from monitor.lib import logs
logs.configure('auto')
logs.get_logger('a').info('hello', n=1)
"""


def test_auto_is_json_without_a_terminal():
    """As under a container's runtime."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], stderr=subprocess.PIPE, check=True)
    assert json.loads(done.stderr)["event"] == "hello"


def test_auto_is_for_people_on_a_terminal():
    """As under `monitor up` at a desk."""
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", SCRIPT], stderr=theirs, check=True)
    os.close(theirs)
    text = os.read(ours, 4096).decode()
    os.close(ours)
    assert "hello" in text
    assert not text.startswith("{")


def test_settings_of_the_project_are_undone(capsys):
    """Its levels and handlers: `celery` at DEBUG would log several lines for each task. A higher level is kept."""
    for name in ("celery", "celery.pool", "kombu", "django.db.backends", "shop", "monitor.tasks"):
        logging.getLogger(name).setLevel(logging.DEBUG)
        logging.getLogger(name).addHandler(logging.StreamHandler())
        logging.getLogger(name).propagate = False
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    logging.getLogger("monitor.api").setLevel(logging.ERROR)
    logging.getLogger("shop").disabled = True  # as `disable_existing_loggers` does
    logs.configure("json")
    for name in ("celery", "celery.pool", "kombu", "django.db.backends", "shop", "monitor.tasks"):
        logging.getLogger(name).debug("detail")
        logging.getLogger(name).info("once")
    logging.getLogger("urllib3").warning("quiet")
    logging.getLogger("monitor.api").warning("heard")
    logging.getLogger("celery").setLevel(logging.DEBUG)  # later, such as in a module that a check imports
    logging.getLogger("celery").debug("detail")
    assert [(event["logger"], event["event"]) for event in written(capsys)] == [
        ("celery", "once"),
        ("celery.pool", "once"),
        ("kombu", "once"),
        ("django.db.backends", "once"),
        ("shop", "once"),
        ("monitor.tasks", "once"),
        ("monitor.api", "heard"),
    ]


PROJECT = """
import logging, sys, structlog
logging.basicConfig(level="INFO", stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
from monitor.lib import logs
log = logs.get_logger("monitor.tasks")
log.debug("dispatch.sent", checks=3)
log.info("check.completed", check="orders", url="redis://user:hunter2@host/0", duration_ms=12.5)
try:
    raise ConnectionError("redis://user:hunter2@host/0")
except ConnectionError:
    log.exception("channel.failed", channel="on call")
assert not structlog.is_configured()
"""


def test_in_a_process_of_the_project_its_handlers_write_the_events():
    """Structlog is not configured there: its default would print all levels, secrets included, to standard output."""
    done = subprocess.run([sys.executable, "-c", PROJECT], capture_output=True, check=True, text=True)
    assert done.stdout == ""
    first, second, *traceback = done.stderr.splitlines()
    assert first == "INFO monitor.tasks check.completed check=orders url=redis://***@host/0 duration=12.5ms"
    assert second == "ERROR monitor.tasks channel.failed channel='on call'"
    assert traceback[0] == "Traceback (most recent call last):"
    assert "hunter2" not in done.stderr


def test_the_monitor_never_configures_structlog(capsys):
    """The project's own events keep the project's configuration, in the roles too."""
    logs.configure("json")
    assert not structlog.is_configured()


def test_a_child_process_logs_as_its_parent(capsys):
    """A check process imports the project, whose settings configure logging."""
    logs.configure("json", "info")
    logging.getLogger("celery").setLevel(logging.DEBUG)
    logging.getLogger().handlers[:] = [logging.StreamHandler()]
    logs.configure_as_parent()
    logging.getLogger("celery").debug("detail")
    logging.getLogger("celery").info("once")
    assert [event["event"] for event in written(capsys)] == ["once"]


def test_a_process_without_such_a_parent_is_left_alone():
    """Such as a check process of a project's worker: the settings of the project apply."""
    before = list(logging.getLogger().handlers)
    logs.configure_as_parent()
    assert logging.getLogger().handlers == before
