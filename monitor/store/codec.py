"""States and transitions as bytes and back.

Writing never fails for what a check reported; reading believes nothing: whatever is not exactly what
we would have written decodes to None, and is then as good as absent.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from monitor import decoding
from monitor.model import Result, State, Status, Streak, Transition
from monitor.policy import FUTURE_TOLERANCE_SECONDS

LIMIT_BYTES = 64 * 1024  # no state is written, and none is read, that is longer
MEMORY_LIMIT_BYTES = 2 * 1024 * 1024
MEMORY_TEXT_LIMIT_BYTES = 8 * 1024 * 1024  # 8,000 consumer groups of ten partitions
MESSAGE_CHARACTERS = 2000
REASON_CHARACTERS = 100


class Record(NamedTuple):
    """What is stored for a check: its state, and which run wrote it with which transitions.

    The last two answer a run that asks again, because the answer to its first attempt was lost.
    """

    state: State
    run_id: str
    transitions: tuple[Transition, ...]


def encode(record: Record) -> bytes:
    """A record of at most ``LIMIT_BYTES``: when it would be longer, detail and data are left out."""
    raw = dump(_record_to_json(record))
    if len(raw) <= LIMIT_BYTES:
        return raw
    slim = _record_to_json(record)
    result = record.state.result
    slim["r"] |= {
        "d": {},
        "x": {},
        "c": (result.reason or "")[:REASON_CHARACTERS] or None,
        "m": (result.message or "")[:MESSAGE_CHARACTERS] or None,
    }
    return dump(slim)


def decode(check: str, raw: bytes | None) -> Record | None:
    """The record of ``check``; None for anything that :func:`encode` does not make."""
    if not raw:
        return None
    try:
        return _record_from_json(decoding.check_name(check), decoding.load(raw, most_bytes=LIMIT_BYTES))
    except decoding.BROKEN:
        return None


def believed(record: Record | None, now: float) -> State | None:
    """The record's state; None when there is none, or when it is from further in the future than clocks may differ."""
    if record is None or record.state.result.observed_at > now + FUTURE_TOLERANCE_SECONDS:
        return None
    return record.state


def encode_transition(transition: Transition) -> bytes:
    """A transition, by itself."""
    return dump([transition.check, *_transition_to_json(transition)])


def decode_transition(raw: bytes | None) -> Transition | None:
    """The transition; None for anything that :func:`encode_transition` does not make."""
    if not raw:
        return None
    try:
        check, *rest = decoding.load(raw, most_bytes=LIMIT_BYTES)
        return _transition_from_json(decoding.check_name(check), rest)
    except decoding.BROKEN:
        return None


def encode_memory(memory: str) -> bytes:
    """Return what a kind remembers in a third or less of its size; empty when it is more than is read again."""
    raw = zlib.compress(memory.encode(), level=1)
    return raw if len(memory) <= MEMORY_TEXT_LIMIT_BYTES and len(raw) <= MEMORY_LIMIT_BYTES else b""


def decode_memory(raw: bytes) -> str | None:
    """The memory; None for anything that :func:`encode_memory` does not make."""
    try:
        return decoding.inflate(raw, most_bytes=MEMORY_TEXT_LIMIT_BYTES).decode() if raw else None
    except ValueError:
        return None


def dump(value: Any) -> bytes:
    """Any value as JSON that is read again; what has no word in it as the nearest thing that has."""
    try:
        text = _encode(value)
    except (ValueError, TypeError, RecursionError):  # NaN, a circle, a key that is no text
        text = _encode(_plain(value))
    if _SURROGATE in text:  # half of a pair, perhaps
        text = _encode(_plain(value))
    return text.encode()


def fitting(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping as it can be stored and read again: what is too large or too deep as the nearest thing."""
    try:
        return decoding.mapping(dict(value))
    except decoding.BROKEN:
        return {_encodable(str(key)): _plain(item, 1) for key, item in value.items()}


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > 10:
        return None
    if isinstance(value, Mapping):
        return {_encodable(str(key)): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not -decoding.INTEGER_LIMIT < value < decoding.INTEGER_LIMIT:
        return float(value) if -_LARGEST < value < _LARGEST else None
    return value if value is None or isinstance(value, int) else _encodable(str(value))


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


def _record_to_json(record: Record) -> dict[str, Any]:
    state, result, streak = record.state, record.state.result, record.state.streak
    value: dict[str, Any] = {
        "s": state.status.value,
        "a": state.since,
        "n": state.sequence,
        "r": {
            "i": result.run_id,
            "s": result.status.value,
            "o": result.observed_at,
            "u": min(result.valid_until, decoding.LATEST),
            "t": result.response_time_ms,
            "d": fitting(result.data),
            "c": result.reason,
            "m": result.message,
            "x": fitting(result.detail),
            "l": result.late_ms,
            "g": result.grace,
            "e": result.series,
            **({"h": True} if result.held else {}),
        },
        "i": record.run_id,
        "y": state.retry_at,
        "z": state.stale_since,
        "b": state.turned_by,
        "k": streak and [streak.status.value, streak.count, streak.since],
        "t": [_transition_to_json(transition) for transition in record.transitions],
    }
    return value


def _record_from_json(check: str, value: dict[str, Any]) -> Record:
    result, streak = value["r"], value["k"]
    state = State(
        check=check,
        status=Status(value["s"]),
        since=_number(value["a"]),
        sequence=_count(value["n"]),
        result=Result(
            run_id=_text(result["i"]),
            status=Status(result["s"]),
            observed_at=_number(result["o"]),
            valid_until=_number(result["u"]),
            response_time_ms=decoding.amount(result["t"]),
            data=decoding.mapping(result["d"]),
            reason=_maybe_text(result["c"]),
            message=_maybe_text(result["m"]),
            detail=decoding.mapping(result["x"]),
            late_ms=decoding.optional_amount(result.get("l")),
            grace=result.get("g") is True,
            series=tuple(map(_text, result.get("e") or ())),
            held=result.get("h") is True,
        ),
        streak=None if streak is None else _streak(*streak),
        retry_at=_maybe_number(value["y"]),
        stale_since=_maybe_number(value.get("z")),
        turned_by=_text(value.get("b", "")),
    )
    return Record(state, _text(value["i"]), tuple(_transition_from_json(check, t) for t in value["t"]))


def _transition_to_json(transition: Transition) -> list[Any]:
    old, new = transition.old.value, transition.new.value
    reason = transition.reason and transition.reason[:REASON_CHARACTERS]
    return [transition.sequence, old, new, transition.at, transition.run_id, reason]


def _transition_from_json(check: str, value: list[Any]) -> Transition:
    sequence, old, new, at, run_id, reason = value
    return Transition(
        check, _count(sequence), Status(old), Status(new), _number(at), _text(run_id), _maybe_text(reason)
    )


def _streak(status: Any, count: Any, since: Any) -> Streak:
    return Streak(Status(status), _count(count), _number(since))


_text, _maybe_text = decoding.text, decoding.optional_text
_number, _maybe_number, _count = decoding.moment, decoding.optional_moment, decoding.count
_SURROGATE, _LARGEST = "\\ud", 10**300

# Kept, because json.dumps with options of its own builds it anew for each call.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=str).encode
