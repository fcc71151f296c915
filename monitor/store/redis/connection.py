"""Connection to a Redis server. Every call is bounded in time. Threads may share it, processes may not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as TimedOut

from monitor.lib.redis_pool import connection_pool, server_reason
from monitor.ports.store import StoreUnavailable
from monitor.store.redis import scripts

T = TypeVar("T")

Argument = str | bytes | int | float


class RedisConnection:
    """Runner of scripts and commands on one server. Every failure is a :class:`StoreUnavailable`.

    One attempt takes at most ``timeout_seconds`` for each of connecting, sending and receiving. With ``retries``, a
    lost call is repeated until twice ``timeout_seconds`` have passed, so every call must be repeatable. The time to
    resolve a host name depends on the system's resolver and cannot be bounded.
    """

    def __init__(self, url: str, *, timeout_seconds: float, retries: bool) -> None:
        pool = connection_pool(url, timeout_seconds=timeout_seconds)
        self._password = str(pool.connection_kwargs.get("password", ""))
        self._timeout_seconds = timeout_seconds
        self._delays = (0.02, 0.1, 0.3) if retries else ()
        self._pool = pool
        self._execute: Callable[..., Any] = redis.Redis(connection_pool=pool).execute_command

    def run(self, script: str, keys: Sequence[str | bytes], arguments: Sequence[Argument]) -> Any:
        """Return the reply of the script ``script``, in one round trip once the server has it."""
        text, sha = scripts.load(script)

        def evaluate() -> Any:
            try:
                return self._execute("EVALSHA", sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return self._execute("EVAL", text, len(keys), *keys, *arguments)

        return self._attempt(evaluate)

    def call(self, *command: Argument) -> Any:
        """Return the reply of a command."""
        return self._attempt(lambda: self._execute(*command))

    def ask(self, *command: Argument) -> Any:
        """Return the reply of a command; None when the server refuses it.

        A server refuses a command that is not permitted, renamed, or unknown to its version.
        """

        def attempt() -> Any:
            try:
                return self._execute(*command)
            except ResponseError:
                return None

        return self._attempt(attempt)

    def now(self) -> float:
        """Return the server's time, in seconds since the Unix epoch."""
        seconds, microseconds = self.call("TIME")
        return int(seconds) + int(microseconds) / 1e6

    def close(self) -> None:
        """Close the idle connections. The next call opens one again."""
        self._pool.disconnect(inuse_connections=False)

    def _attempt(self, action: Callable[[], T]) -> T:
        deadline = time.monotonic() + 2 * self._timeout_seconds
        for delay in self._delays:
            try:
                return action()
            except (Disconnected, TimedOut) as error:
                if time.monotonic() + delay >= deadline:
                    raise self._unavailable(error) from None
                time.sleep(delay)
            except (RedisError, OSError) as error:
                raise self._unavailable(error) from None
        try:
            return action()
        except (RedisError, OSError) as error:
            # Not chained: a server without AUTH echoes the password in its error, and tracebacks get logged.
            raise self._unavailable(error) from None

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        text = f"{type(error).__name__}: {error}"
        return StoreUnavailable(
            text.replace(self._password, "***") if self._password else text,
            None if isinstance(error, TimedOut) else server_reason(error),
        )
