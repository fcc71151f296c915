"""A delivery replica, as a process of its own: decides, and delivers, until it is killed.

``python -m tests.support.alert_replica REDIS_URL PREFIX HOOK_URL NAME``. It does what the tasks do, without waiting
for a message, and with backoffs short enough for a test.
"""

from __future__ import annotations

import sys
import time

from monitor import wiring
from monitor.config import Config
from monitor.ports.store import StoreUnavailable
from monitor.services import alerting
from monitor.store.redis.store import RedisStore
from tests.support.builders.alerting import channel


def main(redis_url: str, prefix: str, hook_url: str, name: str) -> None:
    """Run for ever."""
    hook = channel("hook", kind="webhook", timeout=2.0, options={"url": hook_url, "headers": {"X-Sender": name}})
    config = Config(channels={"hook": hook}, alerting={"flap_changes": 1000})
    store, send = RedisStore(redis_url, prefix=prefix), wiring.build_sender(hook)
    while True:
        try:
            alerting.decide(config, store=store.states, outbox=store.alerts)
            attempts = alerting.deliver(
                hook,
                send,
                store.alerts,
                retry_for_seconds=3600,
                for_seconds=1.0,
                first_retry_seconds=0.02,
                lease_margin_seconds=0.5,
            )
            for _ in attempts:
                pass
        except StoreUnavailable:
            continue
        time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
