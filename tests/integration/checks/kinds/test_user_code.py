"""The kinds that run somebody else's code: python and django_health_check."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from monitor.checks.registry import KINDS
from monitor.model.checks import Outcome, Status
from tests.support.redis_server import RedisServer

HERE = "tests.support.user_code"


def python(name: str, **arguments: Any) -> Outcome:
    return KINDS.build("python", {"path": f"{HERE}:{name}", "arguments": arguments}).run(2.0)


def health_check(path: str, **arguments: Any) -> Outcome:
    return KINDS.build("django_health_check", {"path": path, "arguments": arguments}).run(5.0)


RETURNED = {
    "nothing is ok": (None, Outcome(Status.OK)),
    "true is ok": (True, Outcome(Status.OK)),
    "false is an error": (False, Outcome(Status.ERROR, reason="returned_false")),
    "a whole number is data": (0, Outcome(Status.OK, {"value": 0})),
    "a fraction is data": (2.5, Outcome(Status.OK, {"value": 2.5})),
    "a dict is data": ({"a": 1, "b": [2]}, Outcome(Status.OK, {"a": 1, "b": [2]})),
    "a status by its name": ("warning", Outcome(Status.WARNING)),
    "a status": (Status.ERROR, Outcome(Status.ERROR)),
    "a status with a message": (("error", "no"), Outcome(Status.ERROR, message="no")),
    "a status without one": ([Status.OK, None], Outcome(Status.OK)),
    "an outcome": (Outcome(Status.WARNING, {"n": 1}, "few", "m"), Outcome(Status.WARNING, {"n": 1}, "few", "m")),
}


@pytest.mark.parametrize("case", RETURNED.values(), ids=RETURNED)
def test_what_a_function_returns(case: tuple[Any, Outcome]) -> None:
    """Each of the documented things has its meaning."""
    returned, expected = case
    assert python("echo", value=returned) == expected


@pytest.mark.parametrize(
    "returned",
    ["fine", b"ok", ("ok",), ("ok", 3), {"a": object()}, {"a": float("inf")}, Outcome(Status.UNKNOWN), Status.STALE],
)
def test_what_means_nothing(returned: Any) -> None:
    """Neither silently ok, nor something that cannot be stored."""
    outcome = python("echo", value=returned)
    assert (outcome.status, outcome.reason) == (Status.ERROR, "unexpected_result")


@pytest.mark.filterwarnings("error")
def test_functions_of_other_shapes() -> None:
    """Deeper in their module; raising what is expected; asynchronous ones, which are refused and closed."""
    assert python("Functions.nested").data == {"value": 7}
    assert python("failing") == Outcome(Status.ERROR, {"left": 0}, "no_stock", "nothing left")
    assert python("coroutine").reason == "unexpected_result"
    assert python("not_a_number").reason == "unexpected_result"


def test_what_nobody_expected_is_raised() -> None:
    """The check process logs it, and stores the reason `exception` without the text."""
    with pytest.raises(RuntimeError):
        python("raising")


def test_dataclasses() -> None:
    """A kind, and something that looks like one."""
    assert python("Stock", left=3) == Outcome(Status.WARNING, {"left": 3, "timeout_seconds": 2.0}, "few")
    assert python("Stock", left="9").status is Status.OK
    assert python("Plain", left=0).reason == "returned_false"
    assert python("Unjudged").data == {"left": 2}


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("no_such_function", {}, "import"),
        ("echo", {"no_such_argument": 1}, "arguments"),
        ("Stock", {}, "arguments"),
        ("Stock", {"left": "many"}, "arguments"),
        ("Plain", {}, "arguments"),
        ("Functions", {}, "unexpected_result"),
    ],
)
def test_what_cannot_be_called(name: str, arguments: dict[str, Any], reason: str) -> None:
    """Said apart from what the code itself does wrong."""
    outcome = python(name, **arguments)
    assert (outcome.status, outcome.reason) == (Status.ERROR, reason)


def test_a_module_that_is_not_there() -> None:
    """It may be there for the next deployment."""
    assert KINDS.build("python", {"path": "no.such.module:name"}).run(1.0).reason == "import"


@pytest.mark.parametrize("path", ["", "name", "os:", ":name", "os system", "os:system()"])
def test_a_path_that_is_none(path: str) -> None:
    """Said before anything runs."""
    for kind in ("python", "django_health_check"):
        with pytest.raises(ValidationError):
            KINDS.build(kind, {"path": path})


@pytest.mark.parametrize("cls", ["ErrorHealthCheck", "AsyncErrorHealthCheck"])
@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        ("", Status.OK, None),
        ("warning", Status.WARNING, "warning"),
        ("unavailable", Status.ERROR, "unavailable"),
        ("unexpected", Status.ERROR, "unexpected_result"),
        ("other", Status.ERROR, "failed"),
    ],
)
def test_exceptions_of_health_checks(django: None, cls: str, error: str, status: Status, reason: str | None) -> None:
    """A warning is a warning (the package itself answers 500 to it), and texts lose their credentials."""
    outcome = health_check(f"{HERE}.{cls}", error=error)
    assert (outcome.status, outcome.reason) == (status, reason)
    assert "swordfish" not in (outcome.message or "")


def test_arguments_of_health_checks(django: None) -> None:
    """Seconds for a timedelta, a dotted path for a function; what the class does not take is said."""
    assert health_check(f"{HERE}:ErrorHealthCheck", timeout=2.5).status is Status.OK
    assert health_check(f"{HERE}:ErrorHealthCheck", function={"import": f"{HERE}:Functions.nested"}).status is Status.OK
    assert health_check(f"{HERE}:ErrorHealthCheck", function={"import": f"{HERE}:echo"}).reason == "unavailable"
    assert health_check(f"{HERE}:ErrorHealthCheck", function={"import": f"{HERE}:gone"}).reason == "import"
    assert health_check(f"{HERE}:ErrorHealthCheck", colour="red").reason == "arguments"
    assert health_check("health_check.checks.Gone").reason == "import"
    with pytest.raises(RuntimeError):
        health_check(f"{HERE}:ErrorHealthCheck", error="bug")


def test_the_package_s_own_checks(django: None, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Synchronous and asynchronous ones, with arguments as a configuration file has them."""
    assert health_check("health_check.checks.Cache", alias="default", timeout=3).status is Status.OK
    assert health_check("health_check.checks.Cache", alias="none").reason == "unavailable"
    assert health_check("health_check.contrib.psutil.Memory", max_memory_usage_percent=0.01).status is not Status.OK
    factory = {"import": f"{HERE}:redis_client"}
    monkeypatch.setenv("TEST_REDIS_URL", redis_server.url)
    assert health_check("health_check.contrib.redis.Redis", client_factory=factory).status is Status.OK
    monkeypatch.setenv("TEST_REDIS_URL", "redis://127.0.0.1:1/0")
    assert health_check("health_check.contrib.redis.Redis", client_factory=factory).reason == "unavailable"
