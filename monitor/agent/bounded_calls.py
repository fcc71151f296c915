"""Calls with a time limit, for functions that may block for longer than the caller may wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class BoundedCalls:
    """A helper thread that runs one call at a time, while the calling thread waits only for a limited time.

    A socket timeout does not limit ``getaddrinfo``, which waits 10 s and more for a name server that does not answer.
    Only one thread may use an object of this class. The helper thread starts with the first call.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._latest: _Call | None = None

    def run(self, function: Callable[[], T], *, seconds: float) -> T:
        """Return the result of ``function``, or raise its exception.

        Raises TimeoutError if ``function`` takes longer than ``seconds``. The helper thread then continues to run
        ``function``, and drops the result. Until ``function`` has returned, every call of this method raises
        TimeoutError at once.
        """
        if self._latest is None:
            threading.Thread(target=self._serve, name=self._name, daemon=True).start()
        elif not self._latest.done.is_set():
            raise TimeoutError("an earlier call is still running")
        call = self._latest = _Call(function)
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
        except Exception as error:  # noqa: BLE001 - raised again in the calling thread
            self.error = error
        finally:
            self.done.set()
