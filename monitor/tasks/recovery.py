"""Connection and consumer with which the monitor's worker and beat reconnect after every broker error.

A worker or beat of Celery reconnects after errors that the transport lists as connection errors, and ends after any
other error reply (OOM, NOPERM, READONLY, UNBLOCKED, ACCESS_REFUSED, ...). The monitor's worker and beat close the
connection after every error, and reconnect until a connection works. They end only if the process has no memory or no
threads left, because a reconnect cannot help then.

Only the monitor's own Celery application uses these classes. A project's application keeps Celery's connection,
consumer and scheduler.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.connection import Connection

from monitor.lib import logs
from monitor.tasks import gate
from monitor.tasks.broker_errors import BROKER_ERRORS, is_exhausted, log_fields

RECONNECT = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2}
PAUSE_SECONDS = 0.5
"""Pause after an error. Without it, a broker that accepts connections and refuses commands would cause a busy loop."""

WATCH_SECONDS = 1.0
"""Interval at which the consumer verifies that its connection is open, without a request to the broker."""

log = logs.get_logger("monitor.worker")


class RecoveringConnection(Connection):
    """Connection that reconnects after every error reply of the broker, at most 2 s after the broker works again.

    Celery's own connection increases the pause with each attempt, up to 30 s, and has no setting for it.
    """

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Connection:
        """Connect, and retry until an attempt succeeds."""
        super().ensure_connection(*args, **{**RECONNECT, **kwargs})  # type: ignore[no-untyped-call]
        return self

    def _ensure_connection(self, errback: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Connect, and log the reason of each failed attempt, because kombu logs none without a callback."""
        del errback  # Celery's callback would log each attempt a second time
        return super()._ensure_connection(_report_attempt, *args, **kwargs)  # type: ignore[no-untyped-call]

    @property
    def recoverable_connection_errors(self) -> tuple[type[Exception], ...]:
        """Errors after which kombu retries with a new connection."""
        transport: Any = self.get_transport_cls()  # type: ignore[no-untyped-call]
        recoverable = getattr(transport, "recoverable_connection_errors", ())
        return (*recoverable, *transport.connection_errors, *transport.channel_errors, *BROKER_ERRORS)

    @property
    def connection_errors(self) -> tuple[type[Exception], ...]:
        """Errors after which the consumer leaves its event loop and reconnects."""
        return self.recoverable_connection_errors


class RecoveringConsumer(Consumer):  # type: ignore[misc]  # celery has no types
    """Celery consumer that reconnects after any error, and consumes only while `monitor.tasks.gate` is open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection_errors = (Exception,)
        self._watch_timer: Any = None
        gate.when_refused(lambda: self.call_soon(self._stop_if_gate_closed))

    def connect(self) -> Any:
        """Wait until the gate is open, then connect to the broker."""
        gate.wait(_turn_while_waiting)
        return super().connect()

    def on_ready(self) -> None:
        """Start a timer that verifies once a second that the connection is open.

        If the broker closes the connection while the consumer starts, Celery ignores the error
        (``loops._quick_drain``), and the consumer would receive nothing.
        """
        super().on_ready()
        if self._watch_timer is not None:
            self._watch_timer.cancel()
        self._watch_timer = self.hub.call_repeatedly(WATCH_SECONDS, self._check_connection) if self.hub else None

    def perform_pending_operations(self) -> None:
        """Run the callbacks of `call_soon`. Celery calls this in pools without an event loop.

        Celery only logs the errors of these callbacks, so this method reads the gate again and raises.
        """
        super().perform_pending_operations()
        if not self.hub:
            _turn()
            self._stop_if_gate_closed()

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Log the reason of a failed connection attempt, and pause."""
        self._report_and_pause(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Log the error, pause, and close the connection."""
        self._report_and_pause(exc)
        super().on_connection_error_after_connected(exc)

    def _check_connection(self) -> None:
        _turn()
        if self.connection and not self.connection.connected:
            raise ConnectionResetError("the broker has closed the connection")

    def _stop_if_gate_closed(self) -> None:
        if not gate.is_open() and self.connection:
            raise gate.OtherProject

    def _report_and_pause(self, error: Exception) -> None:
        _turn()
        if isinstance(error, gate.OtherProject):
            return
        if is_exhausted(error):
            raise error  # Celery's worker logs it and exits with 1
        log.warning("worker.broker_unavailable", **log_fields(error))
        time.sleep(PAUSE_SECONDS)


def report_blocked(text: str) -> None:
    """Log that RabbitMQ accepts no messages because it lacks memory or disk. py-amqp calls this with the reason."""
    log.warning("connection.broker_unavailable", reason="blocked", message=text)


def on_each_turn(action: Callable[[], None]) -> None:
    """Set the callback for each turn of the worker's main loop, and for each attempt to connect to the broker."""
    _on_turn[:] = [action]


_on_turn: list[Callable[[], None]] = []


def _turn() -> None:
    for action in _on_turn:
        action()


def _turn_while_waiting() -> None:
    _turn()
    state.maybe_shutdown()


def _report_attempt(error: Exception, _seconds: float) -> None:
    _turn()
    log.warning("connection.broker_unavailable", **log_fields(error))
