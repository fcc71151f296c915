"""Codec for alerts, notices, silences and dead letters. Like `codec`, it decodes invalid values to None."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from pydantic import TypeAdapter

from monitor.lib import decoding
from monitor.model.alerts import Alert, DeadLetter, Silence
from monitor.model.checks import Notice
from monitor.store.codec import MESSAGE_CHARACTERS, dump, storable

T = TypeVar("T", Alert, DeadLetter, Notice, Silence)

LIMIT_BYTES = 64 * 1024  # Longer values are rejected. Encoded values are shorter, even if JSON escapes each character.
DATA_LIMIT_BYTES = 8 * 1024


def encode(value: Alert | DeadLetter | Notice | Silence) -> bytes:
    """Return the value as JSON."""
    return dump(dataclasses.asdict(value))


def decode(kind: type[T], raw: bytes | None) -> T | None:
    """Return the decoded value; None for anything that :func:`encode` does not produce."""
    if not raw or len(raw) > LIMIT_BYTES:
        return None
    try:
        value: T = _ADAPTERS[kind].validate_json(raw)
    except decoding.BROKEN:
        return None
    return value


def slim(notice: Notice) -> Notice:
    """Return the notice with a shorter message, and without its data if they are too large to be stored."""
    data = storable(notice.data)
    is_small = len(dump(data)) <= DATA_LIMIT_BYTES
    message = notice.message and notice.message[:MESSAGE_CHARACTERS]
    return dataclasses.replace(notice, message=message, data=data if is_small else {})


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in (Alert, DeadLetter, Notice, Silence)}
