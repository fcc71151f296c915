"""Alerts, notices, silences and dead letters as bytes and back. Reading believes nothing, as in `codec`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from monitor import decoding
from monitor.alert_states import Alert, DeadLetter, Silence
from monitor.model import Notice
from monitor.store.codec import MESSAGE_CHARACTERS, dump, fitting

T = TypeVar("T", Alert, DeadLetter, Notice, Silence)

LIMIT_BYTES = 64 * 1024  # nothing is read that is longer; what is written is shorter, each letter escaped or not
DATA_LIMIT_BYTES = 8 * 1024


def encode(value: Alert | DeadLetter | Notice | Silence) -> bytes:
    """The value as JSON."""
    return dump(dataclasses.asdict(value))


def decode(kind: type[T], raw: bytes | None) -> T | None:
    """The value; None for anything that :func:`encode` does not make."""
    if not raw or len(raw) > LIMIT_BYTES:
        return None
    try:
        value: T = _ADAPTERS[kind].validate_json(raw)
        _CHECKS[kind](value)
    except (ValidationError, *decoding.BROKEN):
        return None
    return value


def slim(notice: Notice) -> Notice:
    """The notice with a message and data of a size that may be kept."""
    data = fitting(notice.data)
    small = len(dump(data)) <= DATA_LIMIT_BYTES
    message = notice.message and notice.message[:MESSAGE_CHARACTERS]
    return dataclasses.replace(notice, message=message, data=data if small else {})


def _check_notice(notice: Notice) -> None:
    decoding.check_name(notice.check)
    _check_times(notice.since, notice.at)
    decoding.mapping(dict(notice.data))
    decoding.mapping(dict(notice.labels))
    _check_texts(notice.id, notice.reason, notice.message)


def _check_alert(alert: Alert) -> None:
    decoding.check_name(alert.check)
    decoding.count(alert.sequence)
    _check_times(alert.since, alert.flapping_since, *(at for at, _ in alert.changes))
    _check_texts(alert.reason, alert.held, alert.held_by, *alert.deferred)
    for channel, told in alert.told.items():
        decoding.label(channel)
        decoding.count(told.reminders)
        _check_times(told.since, told.at)
        _check_texts(told.notice)


def _check_silence(silence: Silence) -> None:
    decoding.label(silence.id)
    decoding.amount(silence.until)  # as far ahead as its author likes
    _check_times(silence.since)
    _check_texts(silence.checks, silence.why, silence.by)


def _check_letter(letter: DeadLetter) -> None:
    decoding.label(letter.channel)
    decoding.count(letter.attempts)
    _check_times(letter.at)
    _check_texts(letter.reason)
    _check_notice(letter.notice)


def _check_times(*times: float | None) -> None:
    for at in times:
        decoding.optional_moment(at)


def _check_texts(*texts: str | None) -> None:
    for each in texts:
        decoding.optional_text(each)


_CHECKS: dict[Any, Callable[[Any], None]] = {
    Alert: _check_alert,
    DeadLetter: _check_letter,
    Notice: _check_notice,
    Silence: _check_silence,
}


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in (Alert, DeadLetter, Notice, Silence)}
