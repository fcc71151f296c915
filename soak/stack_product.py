"""The stack compose/monitor.yml: its roles are frozen and killed, its Valkey and PostgreSQL are stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psutil

from soak.stack_engine import Stack
from soak.stack_plays import Play, Story
from tests.support.processes import wait_for

TOKEN = "token-of-the-stack-0123456789"
SETTINGS = {"HEALTH_INTERVAL": "2s", "MONITOR_TOKEN": TOKEN}
ROLES = ("web", "worker", "beat")
PROBED = (*ROLES, "shop-worker")
UNHEALTHY_SECONDS = 120
OUTAGE_SECONDS = 20


def product(stack: Stack, story: Story) -> None:
    """Frozen roles are unhealthy, and no role is while Valkey or PostgreSQL is down; a killed role comes back."""
    comes_up(stack, story)
    frozen_processes(stack, story)
    outage(stack, story, "valkey")
    outage(stack, story, "postgres")
    killed_role(stack, story)


def comes_up(stack: Stack, story: Story) -> None:
    """Everything is ready and healthy, and the project's worker consumes."""
    began = datetime.now(UTC)
    _wait_for_ready(stack, 200)
    story.tell("up", "ready: 200", _since(began))
    _wait_for_health(stack, "healthy")
    story.tell("up", f"Docker reports {', '.join(PROBED)} as healthy", _since(began))
    wait_for(lambda: _verdicts(stack) == {"consuming"}, seconds=60, every=0.5, what="the project's worker consumes")
    story.tell("up", "the project's worker is consuming", _since(began))


def frozen_processes(stack: Stack, story: Story) -> None:
    """A frozen role, or a frozen worker of the project, is unhealthy until it continues."""
    began = datetime.now(UTC)
    with _frozen(stack, *PROBED):
        _wait_for_health(stack, "unhealthy")
        story.tell("SIGSTOP to all roles", f"Docker reports {', '.join(PROBED)} as unhealthy", _since(began))
        for service in PROBED:
            story.tell(f"SIGSTOP to {service}", _last_line(stack, service))
    began = datetime.now(UTC)
    _wait_for_health(stack, "healthy")
    _wait_for_ready(stack, 200)
    story.tell("SIGCONT", "healthy, and ready: 200", _since(began))


def outage(stack: Stack, story: Story, service: str) -> None:
    """While a dependency is down, readiness fails, and no liveness probe does."""
    starts = _starts(stack)
    stack.compose("stop", "--timeout", "5", service)
    began = datetime.now(UTC)
    body = _wait_for_ready(stack, 503)
    failing = sorted(name for name, check in body["checks"].items() if check["status"] not in ("ok", "warning"))
    story.tell(f"{service} stopped", f"ready: 503 {', '.join(failing)}", _since(began))
    failed = _failed_probes(stack, OUTAGE_SECONDS)
    story.tell(f"{service} stopped", f"{failed} failed liveness probes in {OUTAGE_SECONDS} s", right=failed == 0)
    stack.compose("start", service)
    began = datetime.now(UTC)
    _wait_for_ready(stack, 200)
    story.tell(f"{service} started", "ready: 200", _since(began))
    restarts = _starts(stack) - starts
    story.tell(f"during the outage of {service}", f"{restarts} restarts", right=restarts == 0)


def killed_role(stack: Stack, story: Story) -> None:
    """Docker starts a killed worker again, and its file of the earlier process does not count."""
    began = datetime.now(UTC)
    stack.kill("worker")
    wait_for(lambda: stack.starts("worker", since=began), seconds=60, every=0.5, what="Docker starts worker again")
    _wait_for_health(stack, "healthy")
    story.tell("SIGKILL to worker", "started again by Docker, and healthy", _since(began))


PRODUCT_PLAYS: Mapping[str, tuple[str, Play, Mapping[str, str]]] = {"monitor": ("monitor", product, SETTINGS)}


@contextmanager
def _frozen(stack: Stack, *services: str) -> Iterator[None]:
    """Stop all processes of containers, except for their init, without Docker's knowledge."""
    mains = [psutil.Process(stack.inspect(service)["State"]["Pid"]) for service in services]
    frozen = [process for main in mains for process in main.children(recursive=True)]
    assert frozen
    for process in frozen:
        process.suspend()
    try:
        yield
    finally:
        for process in frozen:
            process.resume()


def _wait_for_ready(stack: Stack, wanted: int) -> dict[str, Any]:
    def answered() -> dict[str, Any] | None:
        status, body = stack.ask("web", "/api/health/ready/")
        return body if status == wanted else None

    return wait_for(answered, seconds=120, every=0.5, what=f"ready answers {wanted}")


def _wait_for_health(stack: Stack, wanted: str) -> None:
    wait_for(
        lambda: {stack.health(service) for service in PROBED} == {wanted},
        seconds=UNHEALTHY_SECONDS,
        every=0.5,
        what=_Healths(stack),
    )


class _Healths:
    """What Docker reports about each service, for the message of a failure."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def __str__(self) -> str:
        return str({service: self._stack.inspect(service)["State"]["Health"] for service in PROBED})


def _verdicts(stack: Stack) -> set[str]:
    _, body = stack.ask("web", "/api/health/workers/", {"Authorization": f"Bearer {TOKEN}"})
    return {worker["verdict"] for worker in body.get("workers", [])}


def _failed_probes(stack: Stack, seconds: float) -> int:
    """Return how many probes of all containers failed within the next seconds."""
    began, ends = datetime.now(UTC), time.monotonic() + seconds
    failed: set[tuple[str, str]] = set()
    while time.monotonic() < ends:
        for service in PROBED:
            probes = stack.inspect(service)["State"]["Health"]["Log"]
            failed |= {(service, probe["Start"]) for probe in probes if probe["ExitCode"] and _at(probe) > began}
        time.sleep(1)
    return len(failed)


def _last_line(stack: Stack, service: str) -> str:
    return str(stack.inspect(service)["State"]["Health"]["Log"][-1]["Output"]).strip()


def _at(probe: Mapping[str, Any]) -> datetime:
    seconds, _, rest = str(probe["Start"]).partition(".")
    return datetime.fromisoformat(f"{seconds}.{rest[:6]}+00:00").astimezone(UTC)


def _starts(stack: Stack) -> int:
    return len(stack.starts(*PROBED))


def _since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
