"""What the tasks share: their log, their queues, and how they report a store or a broker that does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from monitor.config import Config
from monitor.ports.store import StoreUnavailable
from monitor.tasks.broker_errors import describe
from monitor.tasks.publish import Publisher

log = structlog.get_logger("monitor.tasks")


def dispatch_queue(config: Config) -> str:
    """A queue of its own: checks waiting to be run do not hold up the schedule, and it can be purged."""
    return f"{config.queue}.dispatch"


def rounds_queue(config: Config) -> str:
    """Another, for all that looks after the whole: it is not purged, and does not wait behind checks either."""
    return f"{config.queue}.rounds"


def all_queues(config: Config) -> tuple[str, ...]:
    """All the queues that workers of the monitor consume."""
    return (config.queue, dispatch_queue(config), rounds_queue(config))


@contextmanager
def log_unavailable(event: str, publisher: Publisher | None = None) -> Iterator[None]:
    """Log ``EVENT.store_unavailable``, or for a publisher's broker ``EVENT.broker_unavailable``, instead of raising."""
    try:
        yield
    except StoreUnavailable as error:
        log.warning(f"{event}.store_unavailable", reason=error.reason, message=str(error))
    except Exception as error:
        if publisher is None or not isinstance(error, publisher.errors):
            raise
        log.warning(f"{event}.broker_unavailable", **describe(error))
