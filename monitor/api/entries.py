"""JSON fields of one check: status, times, numbers and reason codes; if authorised, also message and detail."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from monitor import policy
from monitor.model.checks import State, Status
from monitor.presentation.states import iso_milliseconds, rounded

_RESERVED = frozenset(
    {"status", "response_time_ms", "reason", "held", "last_status", "last_result", "since", "observed_at"}
    | {"valid_until", "age_ms", "message", "detail", "name", "timestamp"}
)


def fields(reading: policy.Reading, state: State | None, *, full: bool = False) -> dict[str, Any]:
    """Return the fields of a check except its age. ``full`` adds message and detail, which may contain hosts."""
    document: dict[str, Any] = {"status": reading.status.value}
    if state is None:
        # There is no result: the response time is null if the status is unknown, otherwise 0.
        document["response_time_ms"] = None if reading.status is Status.UNKNOWN else 0
        return document | _without_none(reason=reading.reason)
    result = state.result
    document["response_time_ms"] = rounded(result.response_time_ms)
    document |= {key: value for key, value in result.data.items() if key not in _RESERVED}
    document |= _without_none(
        reason=reading.reason,
        held=reading.held or None,
        last_status=_if_differs(state.status, reading.status),
        last_result=_if_differs(result.status, state.status),
        since=iso_milliseconds(state.since),
        observed_at=iso_milliseconds(result.observed_at),
        valid_until=iso_milliseconds(result.valid_until),
    )
    return document | _without_none(message=result.message, detail=dict(result.detail) or None) if full else document


def age_ms(state: State, now: float) -> int:
    """Return the age of a state's numbers in milliseconds; 0 if their time is after ``now``."""
    return max(0, int((now - state.result.numbers_at) * 1000))


def encode(value: Any) -> str:
    """Return compact JSON."""
    return _encode(value)


def member(name: str, encoded: str) -> str:
    """Return ``"NAME":VALUE``, a member of a JSON object. ``encoded`` is the value as JSON."""
    return f"{_encode(name)}:{encoded}"


def json_object(members: Iterable[str]) -> str:
    """Return the JSON object of members that :func:`member` has returned."""
    return "{" + ",".join(members) + "}"


def with_members(encoded: str, *members: str) -> str:
    """Return the JSON object ``encoded``, which must not be empty, with more members at its end."""
    return ",".join((encoded[:-1], *members)) + "}"


def _without_none(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


# One encoder for all calls, because json.dumps with options creates an encoder for each call.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _if_differs(status: Status, shown: Status) -> str | None:
    return None if status is shown else status.value
