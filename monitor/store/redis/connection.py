"""Connection to a Redis server. Every call has a time limit. Threads may share a connection, processes may not."""

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
    """Connection that runs scripts and commands on one server. Every error is raised as :class:`StoreUnavailable`.

    ``timeout_seconds`` is the time limit for connecting, for sending and for receiving. With ``retries``, a call
    without a reply is sent again until 2 x ``timeout_seconds`` have passed. So every call must be repeatable. The time
    in which the system resolves a host name has no limit.
    """

    def __init__(self, url: str, *, timeout_seconds: float, retries: bool) -> None:
        pool = connection_pool(url, timeout_seconds=timeout_seconds)
        self._password = str(pool.connection_kwargs.get("password", ""))
        self._timeout_seconds = timeout_seconds
        self._delays = (0.02, 0.1, 0.3) if retries else ()
        self._pool = pool
        self._execute: Callable[..., Any] = redis.Redis(connection_pool=pool).execute_command

    def run(self, script: str, keys: Sequence[str | bytes], arguments: Sequence[Argument]) -> Any:
        """Run a script and return its reply. This takes one round trip if the server knows the script, else two."""
        text, sha = scripts.load(script)

        def evaluate() -> Any:
            try:
                return self._execute("EVALSHA", sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return self._execute("EVAL", text, len(keys), *keys, *arguments)

        return self._attempt(evaluate)

    def call(self, *command: Argument) -> Any:
        """Send a command and return its reply."""
        return self._attempt(lambda: self._execute(*command))

    def ask(self, *command: Argument) -> Any:
        """Send a command and return its reply; None when the server returns an error.

        Use this for commands that may be forbidden, renamed, or unknown to the server's version.
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
        """Close the idle connections. The next call opens a new one."""
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
            # Not chained: the error of a server without AUTH contains the password, and tracebacks are logged.
            raise self._unavailable(error) from None

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        text = f"{type(error).__name__}: {error}"
        return StoreUnavailable(
            text.replace(self._password, "***") if self._password else text,
            None if isinstance(error, TimedOut) else server_reason(error),
        )
