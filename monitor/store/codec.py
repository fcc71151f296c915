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

from monitor.model import Result, State, Status, Streak, Transition
from monitor.policy import FUTURE_TOLERANCE_SECONDS

LIMIT_BYTES = 64 * 1024  # no state is written, and none is read, that is longer
MEMORY_LIMIT_BYTES = 8 * 1024 * 1024
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
    if not raw or len(raw) > LIMIT_BYTES:
        return None
    try:
        return _record_from_json(check, _load(raw.decode()))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
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
    if not raw or len(raw) > LIMIT_BYTES:
        return None
    try:
        check, *rest = _load(raw.decode())
        return _transition_from_json(_text(check), rest)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def encode_memory(memory: str) -> bytes:
    """What a kind remembers, in a third or less of its size: it may be much, and the Redis is somebody's broker."""
    return zlib.compress(memory.encode(), level=1)


def decode_memory(raw: bytes) -> str | None:
    """The memory; None for anything that :func:`encode_memory` does not make."""
    try:
        return zlib.decompress(raw).decode()
    except (zlib.error, UnicodeDecodeError):
        return None


def dump(value: Any) -> bytes:
    """Any value as JSON; what has no word in it as the nearest thing that has."""
    try:
        return _encode(value).encode()
    except (ValueError, TypeError, RecursionError):  # NaN, a circle, a key that is no text
        return _encode(_plain(value)).encode()


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > 10:
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)


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
            "u": result.valid_until,
            "t": result.response_time_ms,
            "d": dict(result.data),
            "c": result.reason,
            "m": result.message,
            "x": dict(result.detail),
            "l": result.late_ms,
            "g": result.grace,
            "e": result.series,
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
            response_time_ms=_number(result["t"]),
            data=_mapping(result["d"]),
            reason=_maybe_text(result["c"]),
            message=_maybe_text(result["m"]),
            detail=_mapping(result["x"]),
            late_ms=_maybe_number(result.get("l")),
            grace=result.get("g") is True,
            series=tuple(map(_text, result.get("e") or ())),
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


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError
    return float(value)


def _maybe_number(value: Any) -> float | None:
    return None if value is None else _number(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _maybe_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):  # 1e999
        raise ValueError(digits)
    return value


def _refuse(constant: str) -> float:
    raise ValueError(constant)


# Kept, because json.dumps and json.loads with options of their own build these anew for each call.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=str).encode
_load = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode
