"""Base class of alert channels, the errors of a delivery, and its time limit."""

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

from pydantic import ConfigDict, SecretStr

from monitor.alerts.text import Text
from monitor.lib import logs
from monitor.lib.redaction import MASK, scrub
from monitor.model.checks import Notice

log = logs.get_logger(__name__)

_WEB_SCHEMES = ("http", "https")
# A shorter secret is not masked: it may occur in a text by chance, so that masking would only make the text unreadable.
_MIN_SECRET_CHARACTERS = 4


class Undelivered(Exception):
    """A notice was not delivered. ``reason`` describes the failure."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Temporary(Undelivered):
    """Failed delivery that is to be repeated. With ``retry_after_seconds``, it is repeated after at least this time."""

    def __init__(self, reason: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class Permanent(Undelivered):
    """Failed delivery that is not to be repeated. It would fail again, for example because of a wrong address."""


class Attempt:
    """Time limit of one delivery, with callbacks that end the delivery when the time is over."""

    def __init__(self, timeout_seconds: float) -> None:
        self._ends_at = time.monotonic() + timeout_seconds
        self._callbacks: list[Callable[[], None]] = []
        self._is_over = False
        self._lock = threading.Lock()

    @property
    def remaining_seconds(self) -> float:
        """Return the remaining time, for the timeout of a socket. It is never 0, which would mean no timeout."""
        return max(self._ends_at - time.monotonic(), 0.05)

    def when_over(self, callback: Callable[[], None]) -> None:
        """Register a function to be called when the time is over. Call it at once if the time is over already.

        For example, it closes a socket on which a response arrives so slowly that no timeout of the socket ends it.
        """
        with self._lock:
            if not self._is_over:
                self._callbacks.append(callback)
                return
        callback()

    def finish(self) -> None:
        """Mark the time as over, and call the registered functions."""
        with self._lock:
            self._is_over, callbacks = True, self._callbacks
        for callback in callbacks:
            with contextlib.suppress(Exception):
                callback()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Channel:
    """Base of all channels. A subclass adds its options as annotated fields and overrides ``deliver``.

    An option that is a password, a token, or a URL that may contain one must be a ``SecretStr``. ``example`` is a valid
    set of options, for ``docs/channels.md`` and the contract test of all channels. ``reminder_seconds`` is the default
    of the key ``reminder``. With None, no reminders are sent by default.
    """

    name: ClassVar[str] = ""
    example: ClassVar[Mapping[str, Any]] = {}
    reminder_seconds: ClassVar[float | None] = None

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """Send the notice. Raise :class:`Temporary` or :class:`Permanent` if the receiver does not accept it."""
        raise NotImplementedError

    def send(self, notice: Notice, text: Text, timeout_seconds: float) -> None:
        """Deliver the notice. Return or raise within ``timeout_seconds``, whatever the receiver does.

        Raise only :class:`Temporary` or :class:`Permanent`, with the secrets of the options masked in the reason. If
        the delivery takes longer than ``timeout_seconds``, raise Temporary. The receiver may have accepted the notice
        nevertheless. Then the receiver gets it twice, with the same ``notice.id``.
        """
        attempt = Attempt(timeout_seconds)
        failures: list[BaseException] = []

        def run() -> None:
            try:
                self.deliver(notice, text, attempt)
            except BaseException as failure:  # noqa: BLE001  (raised below, in the thread that waits)
                failures.append(failure)

        # In a thread, because some steps have no timeout: name resolution, retries of a library, a slow response.
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
        """Return the text with masked credentials and masked secrets of the options."""
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
    """Yield each secret of the options. For a URL, also yield each component that an error of a library may contain."""
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
    """Yield the components of a URL that may be credentials: all except scheme, host and port.

    The host is yielded too if the URL is not http or https, because it may be a token, as in ``slack://TOKEN/...``.
    """
    scheme, _, rest = url.partition("://")
    authority, slash, target = rest.partition("/")
    user_info, _, host = authority.rpartition("@")
    if user_info or target:
        yield from (rest, slash + target)
    for piece in (*user_info.split(":"), *re.split(r"[/?&#=]", target), *([] if scheme in _WEB_SCHEMES else [host])):
        yield from (piece, unquote(piece))
