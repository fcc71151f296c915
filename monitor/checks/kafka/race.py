"""Parallel connection attempts to several nodes.

Every ``NEXT_SECONDS`` one more attempt starts, while the earlier attempts continue. The first success ends the search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextlib import suppress
from typing import Any

from kafka.errors import KafkaTimeoutError
from kafka.future import Future

from monitor.checks.kafka.library import ConnectionManager, Node

NEXT_SECONDS = 0.5


async def first_reachable(
    manager: ConnectionManager,
    nodes: Collection[Node],
    connect: Callable[[Node, float], Coroutine[Any, Any, Any]],
    until: float,
) -> tuple[Node | None, dict[Node, Exception]]:
    """Return the first node to which ``connect`` succeeds, and the errors of the other nodes so far.

    The node is None if all attempts fail, or if none succeeds by ``until``.
    """
    waiting = [*nodes]
    running: dict[Node, Any] = {}
    failed: dict[Node, Exception] = {}
    while waiting or running:
        if waiting:
            node = waiting.pop(0)
            running[node] = manager.call_soon(connect(node, until))
        await _wait_for_any(manager, running.values(), NEXT_SECONDS if waiting else until - time.monotonic())
        for node, future in list(running.items()):
            if future.succeeded():
                return node, failed
            if future.is_done:
                failed[node] = running.pop(node).exception
        if time.monotonic() >= until and not waiting:
            break
    return None, failed


async def _wait_for_any(manager: ConnectionManager, futures: Iterable[Any], seconds: float) -> None:
    ended = Future()
    for future in futures:
        future.add_both(lambda _: ended.is_done or ended.success(None))
    with suppress(KafkaTimeoutError):
        await manager.wait_for(ended, max(0.0, seconds) * 1000)
