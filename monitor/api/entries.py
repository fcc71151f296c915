"""JSON fields of one check: status, times, numbers and reason codes; if authorised, also message and detail."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from monitor import policy
from monitor.model.checks import State, Status
from monitor.presentation.states import exact, number

_OURS = frozenset(
    {"status", "response_time_ms", "reason", "held", "last_status", "last_result", "since", "observed_at"}
    | {"valid_until", "age_ms", "message", "detail", "name", "timestamp"}
)


def fields(reading: policy.Reading, state: State | None, *, full: bool = False) -> dict[str, Any]:
    """Return the fields of a check except its age. ``full`` adds message and detail, which may contain hosts."""
    found: dict[str, Any] = {"status": reading.status.value}
    if state is None:
        # Nothing was measured: 0 for a check that fails, null for an unknown status.
        found["response_time_ms"] = None if reading.status is Status.UNKNOWN else 0
        return found | _present(reason=reading.reason)
    result = state.result
    found["response_time_ms"] = number(result.response_time_ms)
    found |= {key: value for key, value in result.data.items() if key not in _OURS}
    found |= _present(
        reason=reading.reason,
        held=reading.held or None,
        last_status=_unless(state.status, reading.status),
        last_result=_unless(result.status, state.status),
        since=exact(state.since),
        observed_at=exact(result.observed_at),
        valid_until=exact(result.valid_until),
    )
    return found | _present(message=result.message, detail=dict(result.detail) or None) if full else found


def age_ms(state: State, now: float) -> int:
    """Return the age of a state's numbers in milliseconds; 0 if they are ahead of the clock."""
    return max(0, int((now - state.result.numbers_at) * 1000))


def encode(value: Any) -> str:
    """Return compact JSON."""
    return _encode(value)


def member(name: str, encoded: str) -> str:
    """Return a member of a JSON object, from its name and its encoded value."""
    return f"{_encode(name)}:{encoded}"


def json_object(members: Iterable[str]) -> str:
    """Return a JSON object that consists of members (:func:`member`)."""
    return "{" + ",".join(members) + "}"


def with_members(encoded: str, *members: str) -> str:
    """Return an encoded JSON object with more members. The object must not be empty."""
    return ",".join((encoded[:-1], *members)) + "}"


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


# A constant, because json.dumps with options creates an encoder for each call.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _unless(status: Status, shown: Status) -> str | None:
    return None if status is shown else status.value
