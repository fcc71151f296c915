"""Base class of alert channels: a frozen dataclass of options, with a method that delivers a notice."""

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

_WEB_SCHEMES = ("http", "https")
_MIN_SECRET_CHARACTERS = 4  # to mask each occurrence of a shorter one would garble a text and hide nothing


class Undelivered(Exception):
    """A notice was not delivered. ``reason`` describes the failure without secrets."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Temporary(Undelivered):
    """A failure after which the delivery is repeated, not before ``retry_after_seconds`` if that is given."""

    def __init__(self, reason: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class Permanent(Undelivered):
    """A failure that a repetition cannot mend, such as a wrong address."""


class Attempt:
    """Time limit of one delivery. At its end the sender stops waiting, and everything that is registered is ended."""

    def __init__(self, timeout_seconds: float) -> None:
        self._ends_at = time.monotonic() + timeout_seconds
        self._callbacks: list[Callable[[], None]] = []
        self._is_over = False
        self._lock = threading.Lock()

    @property
    def remaining_seconds(self) -> float:
        """Return the remaining time for the timeout of a socket: never 0, which would mean no timeout."""
        return max(self._ends_at - time.monotonic(), 0.05)

    def when_over(self, end: Callable[[], None]) -> None:
        """Call ``end`` when the time is over, such as to close a socket on which a response arrives byte by byte."""
        with self._lock:
            if not self._is_over:
                self._callbacks.append(end)
                return
        end()

    def finish(self) -> None:
        """Call the registered functions, because the time is over."""
        with self._lock:
            self._is_over, callbacks = True, self._callbacks
        for end in callbacks:
            with contextlib.suppress(Exception):
                end()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Channel:
    """Base of all channels. A subclass adds its options as annotated fields and overrides ``deliver``.

    Options with passwords, tokens, or URLs that may contain them are ``SecretStr``. ``example`` is a valid set of
    options; ``docs/channels.md`` and the contract test of all channels use it. ``reminder_seconds`` is the default
    interval of reminders; None sends none.
    """

    name: ClassVar[str] = ""
    example: ClassVar[Mapping[str, Any]] = {}
    reminder_seconds: ClassVar[float | None] = None

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """Send the notice. Raise :class:`Temporary` or :class:`Permanent` if the receiver does not accept it."""
        raise NotImplementedError

    def send(self, notice: Notice, text: Text, timeout_seconds: float) -> None:
        """Deliver within ``timeout_seconds``, whatever the receiver does.

        Raise only :class:`Temporary` or :class:`Permanent`, without a secret of the options in the reason. A delivery
        that takes longer is Temporary. The receiver may have accepted it nevertheless, and then receives the same
        ``notice.id`` again.
        """
        attempt = Attempt(timeout_seconds)
        failures: list[BaseException] = []

        def run() -> None:
            try:
                self.deliver(notice, text, attempt)
            except BaseException as failure:  # noqa: BLE001  (raised below, in the thread that waits)
                failures.append(failure)

        # A thread, because not every step has a timeout: name resolution, a library's retries, a response byte by byte.
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(run,), name=f"alert-{self.name}", daemon=True)
        thread.start()
        thread.join(timeout_seconds)
        if thread.is_alive():
            attempt.finish()
            raise Temporary(f"not delivered within {timeout_seconds:g} s")
        if failures:
            raise self._undelivered(failures[0]) from None

    def hide(self, text: str) -> str:
        """Return the text without credentials and without the secrets of the options."""
        for secret in sorted(_secrets(self), key=len, reverse=True):
            text = text.replace(secret, MASK)
        return scrub(text)

    def _undelivered(self, failure: BaseException) -> Undelivered:
        match failure:
            case Temporary():
                return Temporary(self.hide(failure.reason), failure.retry_after_seconds)
            case Permanent():
                return Permanent(self.hide(failure.reason))
        # No traceback: its lines and locals may contain a URL with a token.
        log.error(
            "channel.failed", channel_kind=self.name, error=type(failure).__name__, message=self.hide(str(failure))
        )
        return Temporary(f"{type(failure).__name__}: {self.hide(str(failure))}")


def _secrets(value: Any) -> Iterator[str]:
    """Yield each secret of the options, complete, and in the pieces that a library's error may repeat."""
    match value:
        case SecretStr():
            secret = value.get_secret_value()
            pieces = {secret, *(_secret_pieces(secret) if "://" in secret else ())}
            yield from (piece for piece in pieces if len(piece) >= _MIN_SECRET_CHARACTERS)
        case Mapping():
            for item in value.values():
                yield from _secrets(item)
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from _secrets(item)
        case _ if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                yield from _secrets(getattr(value, field.name))


def _secret_pieces(url: str) -> Iterator[str]:
    """Yield the pieces of a URL that may be credentials: all but scheme, host and port.

    The host is one as well if the URL is not a web address, as in ``slack://TOKEN/...``.
    """
    scheme, _, rest = url.partition("://")
    authority, slash, target = rest.partition("/")
    user_info, _, host = authority.rpartition("@")
    if user_info or target:
        yield from (rest, slash + target)
    for piece in (*user_info.split(":"), *re.split(r"[/?&#=]", target), *([] if scheme in _WEB_SCHEMES else [host])):
        yield from (piece, unquote(piece))
