"""Codec for alerts, notices, silences and dead letters. Decoding trusts no stored value, as in `codec`."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from pydantic import TypeAdapter

from monitor.lib import decoding
from monitor.model.alerts import Alert, DeadLetter, Silence
from monitor.model.checks import Notice
from monitor.store.codec import MESSAGE_CHARACTERS, dump, storable

T = TypeVar("T", Alert, DeadLetter, Notice, Silence)

LIMIT_BYTES = 64 * 1024  # longer values are rejected; written ones are shorter, even with every letter escaped
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
    """Return the notice with its message and data cut to a size that may be stored."""
    data = storable(notice.data)
    small = len(dump(data)) <= DATA_LIMIT_BYTES
    message = notice.message and notice.message[:MESSAGE_CHARACTERS]
    return dataclasses.replace(notice, message=message, data=data if small else {})


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in (Alert, DeadLetter, Notice, Silence)}
