"""Helpers of all tasks: the log, the names of the queues, and a context manager that logs store and broker errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from monitor.config import Config
from monitor.lib import logs
from monitor.ports.store import StoreUnavailable
from monitor.tasks.broker_errors import log_fields
from monitor.tasks.publish import Publisher

log = logs.get_logger("monitor.tasks")


def dispatch_queue(config: Config) -> str:
    """Return the queue of ``dispatch``.

    ``dispatch`` has its own queue, so that it does not wait behind checks, and so that its queue can be purged.
    """
    return config.dispatch_queue


def rounds_queue(config: Config) -> str:
    """Return the queue of all tasks except ``dispatch`` and ``run_check``.

    These tasks have their own queue, because they must not be purged and must not wait behind checks.
    """
    return config.rounds_queue


def all_queues(config: Config) -> tuple[str, ...]:
    """Return all queues that the monitor's workers consume."""
    return config.own_queues


@contextmanager
def log_unavailable(event: str, publisher: Publisher | None = None) -> Iterator[None]:
    """Log ``EVENT.store_unavailable`` instead of raising; for a publisher's errors, ``EVENT.broker_unavailable``."""
    try:
        yield
    except StoreUnavailable as error:
        log.warning(f"{event}.store_unavailable", reason=error.reason, message=str(error))
    except Exception as error:
        if publisher is None or not isinstance(error, publisher.errors):
            raise
        log.warning(f"{event}.broker_unavailable", **log_fields(error))
