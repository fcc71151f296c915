"""What is done in each stack of compose/, what is seen of it over HTTP and by Docker, and whether that is right."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from soak.stack_engine import Stack
from tests.support.processes import wait_for

WINDOW_SECONDS = 60
START_SECONDS = 240
LATE_SECONDS = 60
"""What a verdict may take beyond its threshold: 30 s of `sustained`, and scrape, rule and check interval on top."""
CONSUMERS = ("consumer-a", "consumer-b")

HEALED = {"HEALTH_INTERVAL": "5s", "HEALTH_RETRIES": "25"}
"""(25 - 1) x 5 s = 120 s, for 60 s of window and 60 s of restart: compose/autoheal.yml, for a window of 1 minute."""
SEED = {"HEALTH_INTERVAL": "6s", "HEALTH_RETRIES": "3"}
"""3 x 6 s against 1 minute, as 3 x 30 s against 5."""
UNHEALTHY_SECONDS = 25 * 5


@dataclass
class Story:
    """What was done, what was seen, after how many seconds, and whether that was right."""

    stack: str
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """All of it."""
        return bool(self.rows) and all(row[-1] == "yes" for row in self.rows)

    def tell(self, done: str, seen: str, seconds: float | None = None, *, right: bool = True) -> None:
        """Add a row, and print it."""
        after = "-" if seconds is None else f"{seconds:.0f} s"
        self.rows.append((done, seen, after, "yes" if right else "NO"))
        print("  |  ".join([self.stack, *self.rows[-1]]), flush=True)


def sidecar(stack: Stack, story: Story) -> None:
    """The probe beside each consumer: one asks the brokers, the other one Prometheus."""
    _all_well(stack, story, ("probe-a", "probe-b"))
    _ordinary_orders(stack, story)
    _drill(stack, story, ("probe-a", "probe-b"))


def integrated(stack: Stack, story: Story) -> None:
    """The probe in the consumer's container: Docker's own health says it, and nobody restarts anything."""
    began = _all_well(stack, story, CONSUMERS)
    _ordinary_orders(stack, story)
    _drill(stack, story, CONSUMERS)
    restarts = _starts(stack, began)
    story.tell("all the while", f"{restarts} restarts", right=restarts == 0)


def autoheal(stack: Stack, story: Story) -> None:
    """One restart, however it comes and however long it takes, is not followed by another one."""
    _all_well(stack, story, CONSUMERS)
    _ordinary_orders(stack, story)
    _quiet(stack, story, _slow_restart(stack, story), WINDOW_SECONDS + 2 * UNHEALTHY_SECONDS)
    killed = datetime.now(UTC)
    stack.kill("consumer-a")
    wait_for(lambda: _starts(stack, killed), seconds=60, every=0.5, what="Docker starts consumer-a again")
    story.tell("SIGKILL to consumer-a", "started again by Docker", _since(killed))
    _quiet(stack, story, killed, WINDOW_SECONDS + UNHEALTHY_SECONDS)
    began = datetime.now(UTC)
    _drill(stack, story, ())
    story.tell("during the drill", f"{_starts(stack, began)} restarts", right=_starts(stack, began) == 0)


def autoheal_seed(stack: Stack, story: Story) -> None:
    """For comparison: the same restart where a container is unhealthy long before the window has passed."""
    _all_well(stack, story, CONSUMERS)
    _ordinary_orders(stack, story)
    began = _slow_restart(stack, story)
    time.sleep(3 * WINDOW_SECONDS)
    more = _starts(stack, began) - 1
    story.tell(f"{3 * WINDOW_SECONDS} s more", f"{more} more restarts, as was to be shown", right=more > 0)


Play = Callable[[Stack, Story], None]
KAFKA_PLAYS: Mapping[str, tuple[str, Play, Mapping[str, str]]] = {
    "sidecar": ("sidecar", sidecar, {}),
    "integrated": ("integrated", integrated, {}),
    "autoheal": ("autoheal", autoheal, HEALED),
    "autoheal-seed": ("autoheal", autoheal_seed, SEED),
}
"""Each play: the compose file, what is done, and what is set besides."""


def _all_well(stack: Stack, story: Story, services: tuple[str, ...]) -> datetime:
    began = datetime.now(UTC)
    for which in "ab":
        body = _wait_for_status(stack, which, 200, START_SECONDS)
        healthy = body["message"] == "System healthy"
        story.tell("up", f"probe {which}: 200 {body['message']}", _since(began), right=healthy)
    for service in services:
        wait_for(lambda name=service: stack.health(name) == "healthy", seconds=START_SECONDS, every=1, what=service)
    story.tell("up", f"Docker says healthy of {', '.join(services)}", _since(began))
    return datetime.now(UTC)


def _ordinary_orders(stack: Stack, story: Story) -> None:
    """Until it has committed something everywhere, nobody can say what a group lags behind."""
    said = stack.compose("run", "--rm", "producer", "--count", "120").strip().splitlines()[-1]
    ends = time.monotonic() + WINDOW_SECONDS
    failed = []
    while time.monotonic() < ends:
        failed += [body.get("message") for status, body in map(stack.ask, "ab") if status != 200]
        time.sleep(1)
    story.tell(said, f"200 for {WINDOW_SECONDS} s" if not failed else f"failed: {failed[0]}", right=not failed)


def _drill(stack: Stack, story: Story, unhealthy: tuple[str, ...]) -> None:
    """A consumer that stops consuming, 400 records with one key; then it goes on, and the window passes."""
    stack.compose("kill", "-s", "USR1", "consumer-a")
    said = stack.compose("run", "--rm", "producer", "--hot", "consumer-a", "--count", "400").strip().splitlines()[-1]
    began = datetime.now(UTC)
    story.tell("consumer-a stops consuming", said)
    for which in "ab":
        body = _wait_for_status(stack, which, 500, WINDOW_SECONDS + LATE_SECONDS)
        skewed = body["message"].startswith("Hot-key skew high: 6.00x (threshold: 4.0x, window: 1m)")
        story.tell("400 records, one key", f"probe {which}: 500 {body['message']}", _since(began), right=skewed)
    for service in unhealthy:
        wait_for(lambda name=service: stack.health(name) == "unhealthy", seconds=120, every=1, what=service)
    if unhealthy:
        story.tell("400 records, one key", f"Docker says unhealthy of {', '.join(unhealthy)}", _since(began))
    stack.compose("kill", "-s", "USR2", "consumer-a")
    drained = datetime.now(UTC)
    for which in "ab":
        body = _wait_for_status(stack, which, 200, WINDOW_SECONDS + 2 * LATE_SECONDS)
        passed = _since(drained) > WINDOW_SECONDS - 15  # the check's interval, and half of one
        story.tell(
            "consumer-a goes on, drained", f"probe {which}: 200 {body['message']}", _since(drained), right=passed
        )
    for service in unhealthy:
        wait_for(lambda name=service: stack.health(name) == "healthy", seconds=120, every=1, what=service)


def _slow_restart(stack: Stack, story: Story) -> datetime:
    """Stop a consumer until its absence is noticed, then start it. Returns when that began."""
    began = datetime.now(UTC)
    stack.compose("stop", "consumer-a")
    body = _wait_for_status(stack, "b", 500, WINDOW_SECONDS + LATE_SECONDS)
    noticed = body["message"].startswith("Under-replicated: 1 consumers (min: 2, window: 1m)")
    story.tell("consumer-a stopped", f"probe b: 500 {body['message']}", _since(began), right=noticed)
    stack.compose("start", "consumer-a")
    story.tell("consumer-a started", "one restart", _since(began))
    return began


def _quiet(stack: Stack, story: Story, began: datetime, seconds: int) -> None:
    """Wait long enough for a second restart, and a third; since ``began`` there must have been one and no more."""
    time.sleep(seconds)
    more = _starts(stack, began) - 1
    well = all(stack.ask(which)[0] == 200 for which in "ab")
    seen = f"{more} more restarts; both probes {'200' if well else 'not 200'} at the end"
    words = f"window + {(seconds - WINDOW_SECONDS) // UNHEALTHY_SECONDS} x retries x interval: {seconds} s"
    story.tell(words, seen, right=well and more == 0)


def _starts(stack: Stack, since: datetime) -> int:
    return len(stack.starts(*CONSUMERS, since=since))


def _wait_for_status(stack: Stack, which: str, wanted: int, seconds: float) -> dict[str, str]:
    def asked() -> dict[str, str] | None:
        status, body = stack.ask(which)
        return body if status == wanted else None

    return wait_for(asked, seconds=seconds, every=0.5, what=f"probe {which} says {wanted}, now {stack.ask(which)}")


def _since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
