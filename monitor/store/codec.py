"""Codec for states, transitions and memories.

Every outcome of a check can be encoded. A stored value that the encoder would not have written is decoded to None, and
callers treat it as absent.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from monitor.lib import decoding
from monitor.model.checks import State, Text, Transition
from monitor.policy import FUTURE_TOLERANCE_SECONDS

LIMIT_BYTES = 64 * 1024  # limit for an encoded state or transition
MEMORY_LIMIT_BYTES = 2 * 1024 * 1024  # limit for a compressed memory
MEMORY_TEXT_LIMIT_BYTES = (
    8 * 1024 * 1024
)  # limit before compression: enough for 8,000 consumer groups of ten partitions
MESSAGE_CHARACTERS = 2000
REASON_CHARACTERS = 100


class StoredCheck(NamedTuple):
    """The stored record of a check: its state, the id of the run that wrote the state, and that run's transitions.

    If a run repeats an update because the reply was lost, the store returns these transitions and writes nothing.
    """

    state: State
    run_id: str
    transitions: tuple[Transition, ...]


def encode(record: StoredCheck) -> bytes:
    """Return the record as JSON. If this is longer than ``LIMIT_BYTES``, leave out the result's detail and data."""
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


def decode(check: str, raw: bytes | None) -> StoredCheck | None:
    """Return the record of ``check``; None for anything that :func:`encode` does not produce."""
    if not raw:
        return None
    try:
        return _record_from_json(check, decoding.load(raw, max_bytes=LIMIT_BYTES))
    except decoding.BROKEN:
        return None


def trusted_state(record: StoredCheck | None, now: float) -> State | None:
    """Return the record's state; None without a record, or if it was observed more than the tolerance after ``now``."""
    if record is None or record.state.result.observed_at > now + FUTURE_TOLERANCE_SECONDS:
        return None
    return record.state


def encode_transition(transition: Transition) -> bytes:
    """Return a transition as JSON."""
    return dump([transition.check, *_transition_to_json(transition)])


def decode_transition(raw: bytes | None) -> Transition | None:
    """Return the decoded transition; None for anything that :func:`encode_transition` does not produce."""
    if not raw:
        return None
    try:
        check, *rest = decoding.load(raw, max_bytes=LIMIT_BYTES)
        transition: Transition = _TRANSITION_ADAPTER.validate_python(_transition_from_json(check, rest))
    except decoding.BROKEN:
        return None
    return transition


def encode_memory(memory: str) -> bytes:
    """Return a kind's memory, compressed; empty if the memory is larger than :func:`decode_memory` accepts."""
    raw = zlib.compress(memory.encode(), level=1)
    return raw if len(memory) <= MEMORY_TEXT_LIMIT_BYTES and len(raw) <= MEMORY_LIMIT_BYTES else b""


def decode_memory(raw: bytes) -> str | None:
    """Return the decoded memory; None for anything that :func:`encode_memory` does not produce."""
    try:
        return decoding.inflate(raw, max_bytes=MEMORY_TEXT_LIMIT_BYTES).decode() if raw else None
    except ValueError:
        return None


def dump(value: Any) -> bytes:
    """Return a value as JSON that can be decoded. Values that JSON has no form for, such as NaN, are replaced."""
    try:
        text = _encode(value)
    except (ValueError, TypeError, RecursionError):  # NaN, a reference cycle, a key that is not a string
        text = _encode(_nearest_json(value))
    if _SURROGATE in text:  # The text may contain half of a surrogate pair, which cannot be decoded.
        text = _encode(_nearest_json(value))
    return text.encode()


def storable(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping that can be encoded and decoded. Values that are too large or too deeply nested are replaced."""
    try:
        return decoding.mapping(dict(value))
    except decoding.BROKEN:
        return {_encodable(str(key)): _nearest_json(item, 1) for key, item in value.items()}


def _nearest_json(value: Any, depth: int = 0) -> Any:
    if depth > 10:
        return None
    if isinstance(value, Mapping):
        return {_encodable(str(key)): _nearest_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_nearest_json(item, depth + 1) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not -decoding.INTEGER_LIMIT < value < decoding.INTEGER_LIMIT:
        return float(value) if -_LARGEST < value < _LARGEST else None
    return value if value is None or isinstance(value, int) else _encodable(str(value))


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


def _record_to_json(record: StoredCheck) -> dict[str, Any]:
    state, result, streak = record.state, record.state.result, record.state.streak
    stored = dict(zip(_RESULT, _result_values(result), strict=True))
    stored |= {
        "u": min(result.valid_until, decoding.LATEST_MOMENT),
        "d": storable(result.data),
        "x": storable(result.detail),
    }
    if result.held:
        stored["h"] = True
    return {
        "s": state.status,
        "a": state.since,
        "n": state.sequence,
        "r": stored,
        "i": record.run_id,
        "y": state.retry_at,
        "z": state.stale_since,
        "b": state.transition_run_id,
        "k": streak and [streak.status, streak.count, streak.since],
        "t": [_transition_to_json(transition) for transition in record.transitions],
    }


def _record_from_json(check: str, value: dict[str, Any]) -> StoredCheck:
    value, result, streak = _STATE_DEFAULTS | value, _RESULT_DEFAULTS | value["r"], value["k"]
    state = {name: value[key] for key, name in _STATE.items()}
    state |= {"check": check, "result": {name: result[key] for key, name in _RESULT_READ.items()}}
    state["streak"] = None if streak is None else dict(zip(_STREAK, streak, strict=True))
    transitions = [_transition_from_json(check, each) for each in value["t"]]
    return StoredCheck(*_RECORD.validate_python((state, value["i"], transitions)))


def _transition_to_json(transition: Transition) -> list[Any]:
    old, new = transition.old, transition.new
    reason = transition.reason and transition.reason[:REASON_CHARACTERS]
    return [transition.sequence, old, new, transition.at, transition.run_id, reason]


def _transition_from_json(check: Any, values: list[Any]) -> dict[str, Any]:
    return {"check": check, **dict(zip(_TRANSITION, values, strict=True))}


_RECORD = TypeAdapter(tuple[State, Text, tuple[Transition, ...]])
_TRANSITION_ADAPTER = TypeAdapter(Transition)

# Short JSON keys and the fields they store, in the order in which they are written.
_STATE = {"s": "status", "a": "since", "n": "sequence", "y": "retry_at", "z": "stale_since", "b": "transition_run_id"}
_RESULT = {
    "i": "run_id",
    "s": "status",
    "o": "observed_at",
    "u": "valid_until",
    "t": "response_time_ms",
    "d": "data",
    "c": "reason",
    "m": "message",
    "x": "detail",
    "l": "late_ms",
    "g": "grace",
    "e": "series",
}
_RESULT_READ = {**_RESULT, "h": "held"}
_result_values = attrgetter(*_RESULT.values())
# Defaults for fields that states of earlier versions do not have.
_STATE_DEFAULTS: dict[str, Any] = {"z": None, "b": ""}
_RESULT_DEFAULTS: dict[str, Any] = {"l": None, "g": False, "e": (), "h": False}
_STREAK = ("status", "count", "since")
_TRANSITION = ("sequence", "old", "new", "at", "run_id", "reason")

_SURROGATE, _LARGEST = "\\ud", 10**300

# A module-level encoder, because json.dumps with options builds a new one for each call.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=str).encode
