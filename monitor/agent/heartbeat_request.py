"""The request class of heartbeats. The worker's main process passes the results of its pool to this class.

Only workers import this module, since it imports `celery.worker`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from celery.worker.request import Request

from monitor.agent import heartbeat_recorder

log = logging.getLogger("monitor.agent")


class HeartbeatRequest(Request):  # type: ignore[misc]
    """A request that records its heartbeat as executed when the pool reports success."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Wrap `on_success` of the subclass that Celery creates for a task.

        This `on_success` does not call the inherited method.
        """
        super().__init_subclass__(**options)
        if "on_success" in cls.__dict__:
            cls.on_success = _recording(cls.on_success)


def _recording(on_success: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(on_success)
    def recording(self: Any, outcome: Any, **options: Any) -> Any:
        result = on_success(self, outcome, **options)
        try:
            failed, *_ = outcome
            if not failed:
                kind, target, sent, *_ = self.args
                heartbeat_recorder.record_execution(str(self.hostname), str(kind), str(target), int(sent))
        except Exception:
            log.debug("a heartbeat could not be recorded", exc_info=True)
        return result

    return recording


HeartbeatRequest.on_success = _recording(Request.on_success)
