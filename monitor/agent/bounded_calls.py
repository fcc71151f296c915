"""Calls that may wait for longer than a worker's pulse can."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class BoundedCalls:
    """Runs calls one at a time in a thread of their own, so that another thread waits for them only so long.

    A timeout of a socket does not bound ``getaddrinfo``, which waits for a silent name server for 10 s and more. Used
    by one thread. The thread starts with the first call.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._last: _Call | None = None

    def run(self, function: Callable[[], T], *, seconds: float) -> T:
        """Return what ``function`` returns, or raise what it raises.

        Raises TimeoutError when it takes longer, and at once while an earlier call still runs. What that one returns
        is dropped.
        """
        if self._last is None:
            threading.Thread(target=self._serve, name=self._name, daemon=True).start()
        elif not self._last.done.is_set():
            raise TimeoutError("an earlier call is still running")
        call = self._last = _Call(function)
        self._calls.put(call)
        if not call.done.wait(seconds):
            raise TimeoutError(f"not within {seconds:g} s")
        if call.error is not None:
            raise call.error
        result: T = call.result
        return result

    def _serve(self) -> None:
        while True:
            self._calls.get().run()


class _Call:
    __slots__ = ("done", "error", "function", "result")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.done = threading.Event()
        self.result: Any = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.result = self.function()
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            self.error = error
        finally:
            self.done.set()
