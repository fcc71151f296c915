"""What an alert channel is: a small frozen dataclass whose fields are its options, and that can deliver a notice."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

import structlog
from pydantic import ConfigDict, SecretStr

from monitor.alerts.text import Text
from monitor.lib.redaction import MASK, scrub
from monitor.model.checks import Notice

log = structlog.get_logger(__name__)

_WEB = ("http", "https")
_SHORTEST_SECRET = 4  # of less, hiding each occurrence would garble a text and hide nothing


class Undelivered(Exception):
    """A notice was not delivered; ``reason`` says why, without secrets."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Temporary(Undelivered):
    """Worth another try, not before ``retry_after_seconds`` from now if the receiver said so."""

    def __init__(self, reason: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class Permanent(Undelivered):
    """Another try would end the same way: somebody has to change something first."""


class Attempt:
    """The time that one delivery has. Whatever is still going on at its end, the sender has stopped waiting for."""

    def __init__(self, timeout_seconds: float) -> None:
        self._ends_at = time.monotonic() + timeout_seconds
        self._endings: list[Callable[[], None]] = []
        self._over = False
        self._lock = threading.Lock()

    @property
    def remaining_seconds(self) -> float:
        """For the timeouts of sockets: never 0, which would mean none."""
        return max(self._ends_at - time.monotonic(), 0.05)

    def when_over(self, end: Callable[[], None]) -> None:
        """Have ``end`` called when the time is over, so that what is under way is ended too (a socket that drips)."""
        with self._lock:
            if not self._over:
                self._endings.append(end)
                return
        end()

    def finish(self) -> None:
        """The time is over."""
        with self._lock:
            self._over, endings = True, self._endings
        for end in endings:
            with contextlib.suppress(Exception):
                end()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Channel:
    """Base of all channels. A subclass adds its options as annotated fields and overrides ``deliver``.

    Options that hold passwords, tokens, or URLs that may have them in their path are ``SecretStr``. ``example`` is a
    set of options that is valid; ``docs/channels.md`` and the contract test of all channels are made of them.
    ``reminder_seconds`` is how often it wants to hear again of what lasts, unless it is configured; None: never.
    """

    name: ClassVar[str] = ""
    example: ClassVar[Mapping[str, Any]] = {}
    reminder_seconds: ClassVar[float | None] = None

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """Tell it. Returns when the receiver has taken it; raises :class:`Temporary` or :class:`Permanent`."""
        raise NotImplementedError

    def send(self, notice: Notice, text: Text, timeout_seconds: float) -> None:
        """Deliver within ``timeout_seconds``, whatever the receiver does.

        Raises :class:`Temporary` or :class:`Permanent` and nothing else, without a secret of its options in the
        reason. Not done in time is Temporary; the receiver may have taken it nevertheless, and then gets the same
        ``notice.id`` again.
        """
        attempt = Attempt(timeout_seconds)
        failures: list[BaseException] = []

        def run() -> None:
            try:
                self.deliver(notice, text, attempt)
            except BaseException as failure:  # noqa: BLE001  (judged below, in the thread that waits)
                failures.append(failure)

        # A thread, because not all of it has a timeout of its own: looking a name up, a library's retries, a drip.
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(run,), name=f"alert-{self.name}", daemon=True)
        thread.start()
        thread.join(timeout_seconds)
        if thread.is_alive():
            attempt.finish()
            raise Temporary(f"not done within {timeout_seconds:g} s")
        if failures:
            raise self._undelivered(failures[0]) from None

    def hide(self, text: str) -> str:
        """The text without credentials, and without any of the secrets among the options."""
        for secret in sorted(_secrets(self), key=len, reverse=True):
            text = text.replace(secret, MASK)
        return scrub(text)

    def _undelivered(self, failure: BaseException) -> Undelivered:
        match failure:
            case Temporary():
                return Temporary(self.hide(failure.reason), failure.retry_after_seconds)
            case Permanent():
                return Permanent(self.hide(failure.reason))
        # No traceback: its lines and locals are where an address with a token would be.
        log.error(
            "channel.failed", channel_kind=self.name, error=type(failure).__name__, message=self.hide(str(failure))
        )
        return Temporary(f"{type(failure).__name__}: {self.hide(str(failure))}")


def _secrets(value: Any) -> Iterator[str]:
    """Every secret among the options, as a whole and in the parts that a library's error would repeat."""
    match value:
        case SecretStr():
            secret = value.get_secret_value()
            parts = {secret, *(_parts(secret) if "://" in secret else ())}
            yield from (part for part in parts if len(part) >= _SHORTEST_SECRET)
        case Mapping():
            for item in value.values():
                yield from _secrets(item)
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from _secrets(item)
        case _ if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                yield from _secrets(getattr(value, field.name))


def _parts(url: str) -> Iterator[str]:
    """What of a URL may let one in: all but scheme, host and port; the host too where it is no web address."""
    scheme, _, rest = url.partition("://")
    authority, slash, target = rest.partition("/")
    user_info, _, host = authority.rpartition("@")
    if user_info or target:
        yield from (rest, slash + target)
    for part in (*user_info.split(":"), *re.split(r"[/?&#=]", target), *([] if scheme in _WEB else [host])):
        yield from (part, unquote(part))
