"""Recovery of our own worker and beat from every answer of a broker.

Celery recovers from what the transport calls a connection error. Every other answer (OOM, NOPERM, READONLY,
UNBLOCKED, ACCESS_REFUSED, ...) ends its worker and its beat. Here whatever a broker answers, and whatever fails while
a role talks to it, closes the connection, and a new one is made until one works. A process that has no memory or no
threads left is the exception: it cannot recover by itself, and ends.

For our own Celery application only: a project's application keeps its connections, consumer and scheduler.
"""

from __future__ import annotations

import time
from typing import Any

import structlog
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.connection import Connection

from monitor.tasks import gate
from monitor.tasks.broker_errors import ANSWERS, describe, is_exhausted

RECONNECT = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2}
PAUSE_SECONDS = 0.5
"""A broker that accepts a connection and refuses what is done with it is tried again after this time."""

WATCH_SECONDS = 1.0
"""Between two looks at whether the consumer's connection is open. It costs no round trip."""

log = structlog.get_logger("monitor.worker")


class RecoveringConnection(Connection):
    """A connection that counts every answer of the broker as a reason to connect again, within 2 s of the repair.

    Celery's own waits longer after each attempt, up to 30 s, and has no setting for it.
    """

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Connection:
        """Connect, and try again until that works."""
        super().ensure_connection(*args, **{**RECONNECT, **kwargs})  # type: ignore[no-untyped-call]
        return self

    def _ensure_connection(self, errback: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Name the reason of a failed attempt in the log, whoever connects: kombu itself connects without a word."""
        del errback  # Celery's, which logs the same in its own words at each attempt
        return super()._ensure_connection(_report_attempt, *args, **kwargs)  # type: ignore[no-untyped-call]

    @property
    def recoverable_connection_errors(self) -> tuple[type[Exception], ...]:
        """What is tried again with a new connection."""
        transport: Any = self.get_transport_cls()  # type: ignore[no-untyped-call]
        recoverable = getattr(transport, "recoverable_connection_errors", ())
        return (*recoverable, *transport.connection_errors, *transport.channel_errors, *ANSWERS)

    @property
    def connection_errors(self) -> tuple[type[Exception], ...]:
        """What ends the consumer's event loop, and with it the connection."""
        return self.recoverable_connection_errors


class RecoveringConsumer(Consumer):  # type: ignore[misc]  # celery has no types
    """Celery's consumer, which starts again after any error, and consumes only while the gate is open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection_errors = (Exception,)
        self._watch: Any = None
        gate.when_refused(lambda: self.call_soon(self._leave))

    def connect(self) -> Any:
        """Connect to the broker, once this worker may work in the store."""
        gate.wait(state.maybe_shutdown)
        return super().connect()

    def on_ready(self) -> None:
        """Watch from now on whether the connection is open.

        Celery swallows its end where a broker closes it while the consumer starts (``loops._quick_drain``), and
        consumes nothing from then on.
        """
        super().on_ready()
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self.hub.call_repeatedly(WATCH_SECONDS, self._check_connection) if self.hub else None

    def perform_pending_operations(self) -> None:
        """Do what `call_soon` was given, where there is no event loop; Celery logs there what that raises."""
        super().perform_pending_operations()
        if not self.hub:
            self._leave()

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Log why there is no connection."""
        self._pause(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Log why the connection is given up, and close it."""
        self._pause(exc)
        super().on_connection_error_after_connected(exc)

    def _check_connection(self) -> None:
        if self.connection and not self.connection.connected:
            raise ConnectionResetError("the broker has closed the connection")

    def _leave(self) -> None:
        if not gate.is_open() and self.connection:
            raise gate.OtherProject

    def _pause(self, error: Exception) -> None:
        if isinstance(error, gate.OtherProject):
            return
        if is_exhausted(error):
            raise error  # Celery's worker logs it and exits with 1
        log.warning("worker.broker_unavailable", **describe(error))
        time.sleep(PAUSE_SECONDS)


def report_blocked(text: str) -> None:
    """Log that RabbitMQ takes no messages, for want of memory or disk; py-amqp calls this with a text."""
    log.warning("connection.broker_unavailable", reason="blocked", message=text)


def _report_attempt(error: Exception, _seconds: float) -> None:
    log.warning("connection.broker_unavailable", **describe(error))
