"""Queues in the settings of a project: the same as those that Celery finds there."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from kombu import Exchange, Queue
from kombu.common import Broadcast

from monitor.project import queues

MAIL = {"queue": "mail"}
LIKE_PRETIX = {
    "CELERY_TASK_DEFAULT_QUEUE": "default",
    "CELERY_TASK_QUEUES": (Queue("default", routing_key="default.#"), Queue("mail", routing_key="mail.#")),
    "CELERY_TASK_ROUTES": ([("shop.mail.*", MAIL), ("shop.webhooks.*", {"queue": "notifications"})],),
}
OLD = {
    "CELERY_DEFAULT_QUEUE": "default",
    "CELERY_QUEUES": {"default": {"exchange": "default"}, "mail": {"exchange": "mail"}},
    "CELERY_ROUTES": {"shop.send": {"queue": "urgent"}},
}


@pytest.mark.parametrize(
    ("caption", "settings", "expected"),
    [
        ("nothing: Celery's default is the default of the setting, too", {}, ()),
        ("a broker alone", {"CELERY_BROKER_URL": "redis://h"}, ()),
        ("a default queue", {"CELERY_TASK_DEFAULT_QUEUE": "shop"}, ("shop",)),
        (
            "declared queues: then no task goes to `celery`",
            {"CELERY_TASK_QUEUES": [Queue("a"), Queue("b")]},
            ("a", "b"),
        ),
        ("declared queues in a set", {"CELERY_TASK_QUEUES": {Queue("a")}}, ("a",)),
        ("a default queue beside declared queues", {**LIKE_PRETIX}, ("default", "mail", "notifications")),
        ("routes alone", {"CELERY_TASK_ROUTES": {"a.b": {"queue": "export"}}}, ("celery", "export")),
        ("a route is a name", {"CELERY_TASK_ROUTES": {"a.*": "export"}}, ("celery", "export")),
        ("a route is a queue", {"CELERY_TASK_ROUTES": {"a": {"queue": Queue("export")}}}, ("celery", "export")),
        ("a regular expression", {"CELERY_TASK_ROUTES": [{re.compile("a|b"): MAIL}]}, ("celery", "mail")),
        ("pairs with a regular expression", {"CELERY_TASK_ROUTES": ([(re.compile("a"), MAIL)],)}, ("celery", "mail")),
        ("two tables of routes", {"CELERY_TASK_ROUTES": [{"a": MAIL}, {"b": "sms"}]}, ("celery", "mail", "sms")),
        ("a router", {"CELERY_TASK_ROUTES": ("shop.Router", lambda *_, **__: None, {"a": MAIL})}, ("celery", "mail")),
        ("a route by exchange", {"CELERY_TASK_ROUTES": {"a": {"exchange": "x"}, "b": MAIL}}, ("celery", "mail")),
        ("names of Celery 3", OLD, ("default", "mail", "urgent")),
        ("both: the new name", {**OLD, "CELERY_TASK_DEFAULT_QUEUE": "new"}, ("default", "mail", "new", "urgent")),
        (
            "the options of a beat entry",
            {"CELERY_BEAT_SCHEDULE": {"a": {"task": "a", "schedule": 1.0, "options": {"queue": "periodic"}}}},
            ("celery", "periodic"),
        ),
        (
            "queues of one process, and of a fanout exchange",
            {
                "CELERY_TASK_QUEUES": [
                    Queue("a"),
                    Queue("reply", exclusive=True),
                    Queue("short", auto_delete=True),
                    Queue("fan", Exchange("fan", type="fanout")),
                    Broadcast("all"),
                ]
            },
            ("a",),
        ),
    ],
)
def test_queues_in_settings(caption: str, settings: dict[str, Any], expected: tuple[str, ...]) -> None:
    """The application with these settings has the same queues."""
    found = queues.from_settings(SimpleNamespace(**settings))
    assert sorted(found) == sorted(expected), caption
    of_application = queues.from_application(application(settings))
    assert sorted(of_application) == sorted(expected or ("celery",)), caption


@pytest.mark.parametrize(
    "value", [None, 3, "text", [None], [3], {"a": None}, [[("a",)]], {"a": {"queue": None}}, {3: 4}]
)
@pytest.mark.parametrize("name", ["CELERY_TASK_QUEUES", "CELERY_TASK_ROUTES", "CELERY_BEAT_SCHEDULE"])
def test_settings_that_celery_would_refuse_are_ignored(name: str, value: Any) -> None:
    """Celery reports them. The monitor starts."""
    queues.from_settings(SimpleNamespace(**{name: value}))


def test_each_routed_task_goes_to_a_known_queue() -> None:
    """Celery's own router decides where the tasks of a project like pretix go."""
    router = application(LIKE_PRETIX).amqp.router
    tasks = ("shop.mail.send", "shop.webhooks.notify", "shop.other")
    used = {router.route({}, task)["queue"].name for task in tasks}
    assert used <= set(queues.from_settings(SimpleNamespace(**LIKE_PRETIX)))


def test_the_application_knows_its_namespace_and_its_tasks() -> None:
    """The queue of a task counts once the application is finalized, which the monitor does not do."""
    app = application({"SHOP_TASK_QUEUES": [Queue("a")], "CELERY_TASK_QUEUES": [Queue("b")]}, namespace="SHOP")
    app.task(queue="own")(application)
    assert queues.from_application(app) == ("a",)
    assert not app.finalized
    app.finalize()
    assert set(queues.from_application(app)) == {"a", "own"}


def application(settings: dict[str, Any], namespace: str = "CELERY") -> Celery:
    app = Celery("shop", set_as_current=False)
    app.config_from_object(SimpleNamespace(**settings), namespace=namespace)
    return app
