"""What of kafka-python we need otherwise."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka.net.manager import KafkaConnectionManager


class Manager(KafkaConnectionManager):  # type: ignore[misc]
    """Loses no last words: kafka-python drops what came together with the end of a connection.

    That is how brokers say that they do not believe us.
    """

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        transport = await super()._build_transport(node, timeout_at=timeout_at)
        receive = transport._sock_recv

        def receive_all() -> tuple[bytes, Exception | None]:
            data, error = receive()
            return data, None if data else error

        transport._sock_recv = receive_all
        return transport


@contextmanager
def quiet() -> Iterator[None]:
    """kafka-python logs each failure several times, some with a traceback; ours is the outcome."""
    logger = logging.getLogger("kafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def uncollected() -> Iterator[None]:
    """A look makes a hundred thousand objects, which all live to its end: to go through them is a third of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
