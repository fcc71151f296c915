"""Three ways to deliver notices over Redis, for decision 6: ``python -m bench.deliveries``.

The outbox, Celery's own retries, and a consumer group of a stream. Each delivers to a receiver that is down at first,
so that what could not be delivered is tried again after two seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from celery import Celery
from kombu import Connection

from bench import machine
from monitor.model.checks import Notice, NoticeKind, Status
from monitor.store.redis.store import RedisStore
from tests.support.redis_server import RedisServer, find_binary

CHECKS = 20
RETRY_SECONDS = 2.0
LEASE_SECONDS = 5.0
URL = os.environ.get("BENCH_URL", "redis://127.0.0.1:1/0")

app = Celery("deliveries", broker=URL)
app.conf.update(task_ignore_result=True, worker_pool="solo", broker_connection_retry_on_startup=True)


def attempt(client: redis.Redis, name: str) -> bool:
    """Deliver a notice. False while the receiver is down."""
    if client.exists("down"):
        return False
    client.rpush("delivered", name)
    return True


@app.task(bind=True, max_retries=None, name="bench.deliveries.notify")
def notify(task: object, name: str) -> None:
    """Deliver, or be tried again by Celery."""
    if not attempt(redis.Redis.from_url(URL), name):
        raise task.retry(countdown=RETRY_SECONDS)  # type: ignore[attr-defined]


def consume_stream() -> None:
    """Deliver the entries of a stream; those that failed are claimed again."""
    client = redis.Redis.from_url(URL)
    while True:
        _, claimed, _ = client.xautoclaim("notices", "group", "me", int(RETRY_SECONDS * 1000), count=100)
        fresh = client.xreadgroup("group", "me", {"notices": ">"}, count=100, block=100)
        for number, fields in [*claimed, *(entry for _, entries in fresh for entry in entries)]:
            if attempt(client, fields[b"name"].decode()):
                client.xack("notices", "group", number)


def consume_outbox() -> None:
    """Deliver what the outbox holds."""
    client, outbox = redis.Redis.from_url(URL), RedisStore(URL).alerts
    while True:
        delivery = outbox.take("hook", str(os.getpid()), lease_seconds=LEASE_SECONDS)
        if delivery is None:
            time.sleep(0.1)
        elif attempt(client, delivery.notice.id):
            outbox.ack(delivery)
        else:
            outbox.retry(delivery, after_seconds=RETRY_SECONDS, pause_channel_seconds=0, reason="down")


def put(way: str, check: int, kind: str) -> None:
    """Hand over one notice."""
    name = f"{check}:{kind}"
    if way == "celery":
        with Connection(URL) as connection:
            notify.apply_async((name,), connection=connection)
    elif way == "stream":
        redis.Redis.from_url(URL).xadd("notices", {"name": name})
    else:
        store = RedisStore(URL)
        now = time.time()
        status = Status.ERROR if kind == "firing" else Status.OK
        notice = Notice(name, NoticeKind(kind), f"check-{check}", Status.OK, status, now, now)
        while not store.alerts.decide(store.alerts.undecided(), {}, [("hook", notice)]):
            pass
        store.close()


CONSUMERS = {
    "celery": [sys.executable, "-m", "celery", "-A", "bench.deliveries", "worker", "-l", "ERROR", "--without-mingle"],
    "stream": [sys.executable, "-m", "bench.deliveries", "stream"],
    "outbox": [sys.executable, "-m", "bench.deliveries", "outbox"],
}


@contextmanager
def consumer(way: str) -> Iterator[subprocess.Popen[bytes]]:
    """A consumer of this way; it is killed at the end."""
    process = subprocess.Popen(
        CONSUMERS[way], env={**os.environ, "BENCH_URL": URL}, start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def fire_while_down(client: redis.Redis, way: str) -> None:
    """Send an alarm of each check once the consumer runs, and wait for its first attempts, which fail."""
    time.sleep(4)
    client.set("down", 1)
    for check in range(CHECKS):
        put(way, check, "firing")
    time.sleep(1)


def inversions(client: redis.Redis, way: str) -> tuple[int, int]:
    """Return how many resolutions came before their alarms, and how many notices were delivered."""
    with consumer(way):
        fire_while_down(client, way)
        client.delete("down")
        for check in range(CHECKS):
            put(way, check, "resolved")
        time.sleep(6)
    found = [name.decode() for name in client.lrange("delivered", 0, -1)]
    places = {name: found.index(name) for name in found}
    both = [check for check in range(CHECKS) if {f"{check}:firing", f"{check}:resolved"} <= places.keys()]
    return sum(places[f"{check}:resolved"] < places[f"{check}:firing"] for check in both), len(found)


def after_a_kill(client: redis.Redis, way: str) -> int:
    """Return how many of the notices are delivered within 20 s after their consumer was killed between two attempts."""
    with consumer(way):
        fire_while_down(client, way)
    client.delete("down")
    with consumer(way):
        time.sleep(20)
    return client.llen("delivered")


def _use(url: str) -> None:
    global URL  # noqa: PLW0603 - each measurement has a server of its own
    URL = url


def main() -> None:
    """Print what each way does."""
    if sys.argv[1:]:
        {"stream": consume_stream, "outbox": consume_outbox}[sys.argv[1]]()
    print(machine.describe())
    for way in CONSUMERS:
        rows = []
        for measure in (inversions, after_a_kill):
            server = RedisServer(binary=find_binary("valkey-server") or "valkey-server")
            _use(server.url)
            with server.client() as client:
                if way == "stream":
                    client.xgroup_create("notices", "group", mkstream=True)
                rows.append(measure(client, way))
            server.stop()
        print(way, "inverted, delivered", rows[0], "after a kill", rows[1], "of", CHECKS, flush=True)


if __name__ == "__main__":
    main()
