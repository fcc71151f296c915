"""The worker's own queue, consumed beside Celery's own consumer and not through it.

Celery declares its queues in a step of its own, where whatever the broker refuses ends the worker. So this queue is
never one of `app.amqp.queues`. On AMQP it has a channel of its own on the worker's connection: a channel that the
broker closes takes nothing else with it. On Redis it shares the channel of Celery's consumer, hence its one BRPOP
(which a heartbeat is to prove), and leaves it as soon as Redis refuses that command.

Heartbeats are acknowledged on arrival, and one at a time is in Celery's hands; of those that come meanwhile the newest
is kept. One that a slot holds and does not execute, as a process that is stopped does, is not waited for: the next may
find another slot. They count neither towards the prefetch limit nor towards RabbitMQ's timeout for acknowledgements,
and are not decoded by Celery: it does not matter which content types the application accepts.
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
from monitor.agent.slots import given_to

log = logging.getLogger("monitor.agent")

RETRY_INTERVALS = 3
RETRY_AT_LEAST_SECONDS = 10.0
HELD_INTERVALS, HELD_AT_LEAST_SECONDS = 0.5, 2.0
"""A slot that holds a heartbeat for longer is not waited for."""

_TAG = "monitor"


class DirectQueue:
    """The consumer of one worker's own queue. Used in the thread that runs the worker's consumer, `tick` excepted."""

    def __init__(self, consumer: Any, target: str, *, interval_seconds: float) -> None:
        self.target, self.name = target, direct_queue(target)
        self.consumed = False
        """Whether the broker lets us consume it; stays as it was while the worker looks for its broker."""
        self._consumer = consumer
        self._retry_seconds = max(RETRY_INTERVALS * interval_seconds, RETRY_AT_LEAST_SECONDS)
        self._retry_at = 0.0
        self._refused = False
        self._given_up = False
        self._channel: Any = None
        self._waiting: Any = None
        self._held_seconds = max(HELD_INTERVALS * interval_seconds, HELD_AT_LEAST_SECONDS)
        self._in_flight: dict[str, float | None] = {}

    def connect(self) -> None:
        """Consume it by the worker's present connection, as soon as the worker's loop runs.

        Not before: what waits in the queue comes with the broker's answer to the subscription, and a prefork pool loses
        what it is given before it is part of the loop.
        """
        self._consumer.call_soon(self._connect)

    def _connect(self) -> None:
        if self._given_up or self._channel is not None or not self._consumer.connection:
            return
        connection, channel = self._consumer.connection, None
        try:
            own = connection.transport.driver_type == "amqp"
            channel = connection.channel() if own else self._consumer.task_consumer.channel
            _queue(self.name)(channel).declare()
            self._guard(channel)
            self._channel = channel
            channel.basic_consume(
                queue=self.name, no_ack=True, callback=self._received, consumer_tag=_TAG, on_cancel=self._cancelled
            )
        except Exception as error:
            # A broker that ends the whole connection for it (a limit of channels) would do so again and again.
            lost = isinstance(error, connection.connection_errors)
            self._given_up = lost and not isinstance(error, connection.recoverable_connection_errors)
            self._leave(channel, error)
            if lost:
                raise  # for Celery's loop, which connects anew: it does not notice by itself what was lost in here
            return
        self.consumed = True
        if self._refused:
            self._refused = False
            log.info("the broker accepts the monitor's queue %s again", self.name)

    def disconnect(self) -> None:
        """The connection is lost, or the worker is stopping: then take no more heartbeats. Never raises."""
        channel, self._channel, self._waiting = self._channel, None, None
        if channel is not None and self._consumer.blueprint.state in (bootsteps.CLOSE, bootsteps.TERMINATE):
            try:
                channel.basic_cancel(_TAG)
            except Exception:
                log.debug("the monitor's queue could not be cancelled", exc_info=True)
            self._close(channel)

    def tick(self) -> None:
        """Called every second in whatever thread the worker's timer has: do in its main thread what is due."""
        retry = not self.consumed and not self._given_up and time.monotonic() >= self._retry_at
        if retry or self._waiting is not None:
            self._consumer.call_soon(self._due)

    def _due(self) -> None:
        try:
            if not self.consumed and time.monotonic() >= self._retry_at:
                self._connect()
            self._submit()
        except self._consumer.connection_errors:
            raise
        except Exception:
            log.debug("the monitor's queue is not served", exc_info=True)

    def _received(self, raw: Any) -> None:
        try:
            message = self._channel.message_to_python(raw)
            if found := _decode_heartbeat(message, self.target):
                if self._waiting is None or self._waiting.headers["args"] < found.headers["args"]:
                    self._waiting = found
                self._submit()
        except Exception:
            log.debug("a message of the monitor's own queue is dropped", exc_info=True)

    def _submit(self) -> None:
        if self._waiting is None or not self._may_submit():
            return
        message, self._waiting = self._waiting, None
        self._in_flight[message.headers["id"]] = None
        strategy = self._consumer.strategies[HEARTBEAT]
        strategy(
            message, dict(message.headers), _acknowledge_nothing, _acknowledge_nothing, self._consumer.on_task_message
        )

    def _may_submit(self) -> bool:
        """Return whether each heartbeat in Celery's hands is held by a slot, for long, and another slot may be free."""
        now, before = time.monotonic(), self._in_flight
        self._in_flight = {each: before[each] or _given_at(each, now) for each in before if each in state.requests}
        if any(since is None or now - since < self._held_seconds for since in self._in_flight.values()):
            return False
        return len(self._in_flight) < max(1, int(self._consumer.pool.num_processes or 1))

    def _cancelled(self, *_: Any) -> None:
        """Called when the broker ends the subscription, for the queue was deleted. Else Celery would reconnect."""
        channel, self._channel = self._channel, None
        self._consumer.call_soon(self._close, channel)  # not in the midst of what the connection reads
        self._failed("it has cancelled the subscription")

    def _guard(self, channel: Any) -> None:
        """Keep a refusal of our key from ending the worker, whose BRPOP it shares: leave, and let it try without."""
        handlers = getattr(channel, "handlers", None)
        if not isinstance(handlers, dict) or "BRPOP" not in handlers:
            return
        read: Any = getattr(handlers["BRPOP"], "unguarded", handlers["BRPOP"])

        def guarded(**options: Any) -> Any:
            try:
                return read(**options)
            except ResponseError as error:
                if not self.consumed or channel is not self._channel:
                    raise
                channel.basic_cancel(_TAG)
                self._leave(channel, error)
                raise Empty from None

        guarded.unguarded = read  # type: ignore[attr-defined]
        handlers["BRPOP"] = guarded

    def _leave(self, channel: Any, reason: object) -> None:
        self._channel = None
        self._failed(reason)
        self._close(channel)

    def _failed(self, reason: object) -> None:
        self.consumed, self._waiting = False, None
        self._retry_at = time.monotonic() + self._retry_seconds
        if not self._refused:
            log.warning(
                "the broker refuses the monitor's queue %s: this worker runs without heartbeats of its own (%s)",
                self.name,
                str(reason)[:200] or type(reason).__name__,
            )
        self._refused = True

    def _close(self, channel: Any) -> None:
        """Close a channel that is our own."""
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
    exchange = entity.Exchange("")  # a named one would read every binding at each publish
    return entity.Queue(name, exchange, routing_key=name, expires=DIRECT_QUEUE_EXPIRES_SECONDS)


def _given_at(task_id: str, now: float) -> float | None:
    """Return ``now`` for a heartbeat that a slot holds, None for one that waits for a slot."""
    request = state.requests[task_id]
    return now if request in state.active_requests or given_to(request) is not None else None


class _Decoded(Message):
    """A message whose body Celery need not decode."""

    payload: Any = ()


def _decode_heartbeat(message: Any, target: str) -> Any:
    """Return the heartbeat as a message of Celery's protocol 1, whose parts are decoded; None for anything else.

    It is recorded for the worker that executes it, whatever worker the message names.
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
    made: Any = _Decoded
    return made(channel=message.channel, delivery_info=message.delivery_info, properties={}, headers=task)


def _acknowledge_nothing(*_: Any) -> None:
    """Acknowledge nothing: the message was acknowledged when it came."""
