"""Consumer of the worker's direct queue, separate from Celery's own consumer.

Celery declares the queues of `app.amqp.queues` in a bootstep, and the worker ends if the broker refuses one of them. So
the direct queue is not added to `app.amqp.queues`. On AMQP the direct queue has its own channel on the worker's
connection: if the broker closes this channel, Celery's channels stay open. On Redis the direct queue shares the channel
of Celery's consumer, so that heartbeats test the BRPOP with which the worker reads its tasks. The direct queue leaves
this channel as soon as Redis refuses this BRPOP.

Heartbeats are acknowledged on arrival. One heartbeat at a time is passed to Celery. Of the heartbeats that arrive
meanwhile, only the newest is kept. If a heartbeat stays in a slot, as in the slot of a stopped process, the next
heartbeat is passed to Celery after `BLOCKING_INTERVALS`, since another slot may execute it. Heartbeats count neither
towards the prefetch limit nor towards RabbitMQ's acknowledgement timeout. Celery does not decode them, so the
application's setting `accept_content` does not affect them.
"""

from __future__ import annotations

import importlib
import json
import logging
import time
from queue import Empty
from typing import Any

from celery import bootsteps
from celery.worker import state
from kombu.message import Message
from redis.exceptions import ResponseError

from monitor.agent.protocol import DIRECT_QUEUE_EXPIRES_SECONDS, HEARTBEAT, direct_queue
from monitor.agent.slots import pool_process_of

log = logging.getLogger("monitor.agent")

RETRY_INTERVALS = 3
RETRY_AT_LEAST_SECONDS = 10.0
BLOCKING_INTERVALS, BLOCKING_AT_LEAST_SECONDS = 0.5, 2.0
"""After this time in a slot, a heartbeat no longer keeps the next heartbeat from being passed to Celery."""

_CONSUMER_TAG = "monitor"


class DirectQueue:
    """Consumer of one worker's direct queue. All methods except `tick` run in the thread of the worker's consumer."""

    def __init__(self, consumer: Any, target: str, *, interval_seconds: float) -> None:
        self.target, self.name = target, direct_queue(target)
        self.is_consumed = False
        """True from a successful subscription until the broker refuses the queue. Reconnecting does not change this."""
        self._consumer = consumer
        self._retry_seconds = max(RETRY_INTERVALS * interval_seconds, RETRY_AT_LEAST_SECONDS)
        self._retry_at = 0.0
        self._is_refused = False
        self._has_given_up = False
        self._channel: Any = None
        self._waiting_message: Any = None
        self._blocking_seconds = max(BLOCKING_INTERVALS * interval_seconds, BLOCKING_AT_LEAST_SECONDS)
        self._unfinished: dict[str, float | None] = {}

    def connect(self) -> None:
        """Subscribe on the worker's current connection, as soon as the worker's event loop runs.

        An earlier subscription would lose heartbeats. Waiting messages arrive with the broker's reply, and a prefork
        pool loses the tasks that it gets before it is registered with the event loop.
        """
        self._consumer.call_soon(self._connect)

    def _connect(self) -> None:
        if self._has_given_up or self._channel is not None or not self._consumer.connection:
            return
        connection, channel = self._consumer.connection, None
        try:
            has_own_channel = connection.transport.driver_type == "amqp"
            channel = connection.channel() if has_own_channel else self._consumer.task_consumer.channel
            _queue(self.name)(channel).declare()
            self._guard_brpop(channel)
            self._channel = channel
            channel.basic_consume(
                queue=self.name,
                no_ack=True,
                callback=self._received,
                consumer_tag=_CONSUMER_TAG,
                on_cancel=self._cancelled,
            )
        except Exception as error:
            # A broker that closes the connection because of a limit of channels would do so at each attempt.
            lost = isinstance(error, connection.connection_errors)
            self._has_given_up = lost and not isinstance(error, connection.recoverable_connection_errors)
            self._leave_channel(channel, error)
            if lost:
                raise  # so that Celery's loop reconnects: otherwise the loop does not notice the loss
            return
        self.is_consumed = True
        if self._is_refused:
            self._is_refused = False
            log.info("the broker accepts the monitor's queue %s again", self.name)

    def disconnect(self) -> None:
        """Handle a lost connection. If the worker is stopping, cancel the subscription. Never raises."""
        channel, self._channel, self._waiting_message = self._channel, None, None
        if channel is not None and self._consumer.blueprint.state in (bootsteps.CLOSE, bootsteps.TERMINATE):
            try:
                channel.basic_cancel(_CONSUMER_TAG)
            except Exception:
                log.debug("the monitor's queue could not be cancelled", exc_info=True)
            self._close(channel)

    def tick(self) -> None:
        """Schedule due work in the consumer's thread. The timer calls this every second, from any thread."""
        retry = not self.is_consumed and not self._has_given_up and time.monotonic() >= self._retry_at
        if retry or self._waiting_message is not None:
            self._consumer.call_soon(self._do_due_work)

    def _do_due_work(self) -> None:
        try:
            if not self.is_consumed and time.monotonic() >= self._retry_at:
                self._connect()
            self._submit()
        except self._consumer.connection_errors:
            raise
        except Exception:
            log.debug("the monitor's queue could not be served", exc_info=True)

    def _received(self, raw: Any) -> None:
        try:
            message = self._channel.message_to_python(raw)
            if heartbeat := _decode_heartbeat(message, self.target):
                if self._waiting_message is None or self._waiting_message.headers["args"] < heartbeat.headers["args"]:
                    self._waiting_message = heartbeat
                self._submit()
        except Exception:
            log.debug("a message in the monitor's queue was dropped", exc_info=True)

    def _submit(self) -> None:
        if self._waiting_message is None or not self._may_submit():
            return
        message, self._waiting_message = self._waiting_message, None
        self._unfinished[message.headers["id"]] = None
        strategy = self._consumer.strategies[HEARTBEAT]
        strategy(
            message, dict(message.headers), _acknowledge_nothing, _acknowledge_nothing, self._consumer.on_task_message
        )

    def _may_submit(self) -> bool:
        """Return whether a heartbeat may be passed to Celery now.

        This is True in two cases: (1) no earlier heartbeat is unfinished; (2) each unfinished heartbeat has been in a
        slot for longer than the limit, and another slot exists.
        """
        now, before = time.monotonic(), self._unfinished
        self._unfinished = {
            task_id: before[task_id] or _time_if_in_slot(task_id, now)
            for task_id in before
            if task_id in state.requests
        }
        if any(since is None or now - since < self._blocking_seconds for since in self._unfinished.values()):
            return False
        return len(self._unfinished) < max(1, int(self._consumer.pool.num_processes or 1))

    def _cancelled(self, *_: Any) -> None:
        """Handle the message that the broker ended the subscription, since the queue was deleted.

        Without this handler, Celery would reconnect.
        """
        channel, self._channel = self._channel, None
        self._consumer.call_soon(self._close, channel)  # not now: the connection is still reading this frame
        self._handle_refusal("it cancelled the subscription")

    def _guard_brpop(self, channel: Any) -> None:
        """Wrap the channel's BRPOP so that a refusal of the direct queue's key does not end the worker.

        On a refusal the direct queue leaves the channel. The worker's next BRPOP does not name the key of the direct
        queue.
        """
        handlers = getattr(channel, "handlers", None)
        if not isinstance(handlers, dict) or "BRPOP" not in handlers:
            return
        read: Any = getattr(handlers["BRPOP"], "unguarded", handlers["BRPOP"])

        def guarded(**options: Any) -> Any:
            try:
                return read(**options)
            except ResponseError as error:
                if not self.is_consumed or channel is not self._channel:
                    raise
                channel.basic_cancel(_CONSUMER_TAG)
                self._leave_channel(channel, error)
                raise Empty from None

        guarded.unguarded = read  # type: ignore[attr-defined]
        handlers["BRPOP"] = guarded

    def _leave_channel(self, channel: Any, reason: object) -> None:
        self._channel = None
        self._handle_refusal(reason)
        self._close(channel)

    def _handle_refusal(self, reason: object) -> None:
        self.is_consumed, self._waiting_message = False, None
        self._retry_at = time.monotonic() + self._retry_seconds
        if not self._is_refused:
            log.warning(
                "the broker refuses the monitor's queue %s: this worker gets no direct heartbeats (%s)",
                self.name,
                str(reason)[:200] or type(reason).__name__,
            )
        self._is_refused = True

    def _close(self, channel: Any) -> None:
        """Close a channel, unless it is the channel of Celery's consumer."""
        consumers = self._consumer.task_consumer
        if channel is None or (consumers is not None and channel is consumers.channel):
            return
        try:
            if channel.connection is not None:
                channel.close()
        except Exception:
            log.debug("the monitor's channel could not be closed", exc_info=True)


def _queue(name: str) -> Any:
    entity: Any = importlib.import_module("kombu.entity")
    exchange = entity.Exchange("")  # with a named exchange, kombu reads all bindings at each publish
    return entity.Queue(name, exchange, routing_key=name, expires=DIRECT_QUEUE_EXPIRES_SECONDS)


def _time_if_in_slot(task_id: str, now: float) -> float | None:
    """Return ``now`` if the heartbeat is in a slot; None if it waits for a slot."""
    request = state.requests[task_id]
    return now if request in state.active_requests or pool_process_of(request) is not None else None


class _DecodedMessage(Message):
    """A message whose body Celery does not decode: its fields are in the headers."""

    payload: Any = ()


def _decode_heartbeat(message: Any, target: str) -> Any:
    """Return a heartbeat as a decoded message of Celery's task protocol 1; None if the message is no heartbeat.

    The target in the message is replaced by ``target``, the worker that executes the heartbeat.
    """
    if message.headers.get("task") != HEARTBEAT:
        return None
    (_, _, sent), *_ = json.loads(message.body)
    task = {
        "task": HEARTBEAT,
        "id": str(message.headers["id"]),
        "args": ("worker", target, int(sent)),
        "kwargs": {},
        "retries": 0,
        "ignore_result": True,
    }
    message_class: Any = _DecodedMessage
    return message_class(channel=message.channel, delivery_info=message.delivery_info, properties={}, headers=task)


def _acknowledge_nothing(*_: Any) -> None:
    """Do nothing: the message was acknowledged on arrival."""
