"""The stored formats: the bytes that are written, what earlier versions wrote, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.model.alerts import Alert, DeadLetter, LastNotification, Silence
from monitor.model.checks import Notice, NoticeKind, Result, State, Status, Streak, Transition
from monitor.store import alert_codec, codec

RESULT = Result(
    "run",
    Status.OK,
    1763608320.125,
    1763608350.125,
    3.25,
    {"percent": 25.5},
    "reason",
    "message",
    {"host": "web"},
    12.0,
    True,
    ("percent",),
    True,
)
TURN = Transition("db", 5, Status.OK, Status.ERROR, 1763608000.5, "run", "timeout")
STATE = State("db", Status.OK, 1763608000.5, 5, RESULT, Streak(Status.ERROR, 2, 6.0), 7.0, 8.0, "run")
RECORD = codec.StoredCheck(STATE, "run", (TURN,))
STORED: dict[str, Any] = {
    "s": "ok",
    "a": 1763608000.5,
    "n": 5,
    "r": {
        "i": "run",
        "s": "ok",
        "o": 1763608320.125,
        "u": 1763608350.125,
        "t": 3.25,
        "d": {"percent": 25.5},
        "c": "reason",
        "m": "message",
        "x": {"host": "web"},
        "l": 12.0,
        "g": True,
        "e": ["percent"],
        "h": True,
    },
    "i": "run",
    "y": 7.0,
    "z": 8.0,
    "b": "run",
    "k": ["error", 2, 6.0],
    "t": [[5, "ok", "error", 1763608000.5, "run", "timeout"]],
}
NOTICE = Notice("db:5:run", NoticeKind.FIRING, "db", Status.OK, Status.ERROR, 1.0, 2.0, "timeout", "m", {"a": "b"})
ALERT = Alert("db", Status.ERROR, Status.OK, 1.0, 5, told={"ops": LastNotification(Status.ERROR, 1.0, 2.0, "db:5:run")})
SILENCE, LETTER = Silence("id", "db*", 1.0, 2.0, "why"), DeadLetter("ops", NOTICE, "why", 5.0, 3)


def written(value: Any) -> bytes:
    """A value as it is written: JSON without spaces, its keys in their order."""
    return json.dumps(value, separators=(",", ":")).encode()


def test_the_bytes_of_a_state() -> None:
    """Processes of two versions share a store, so that what is written is fixed to the byte."""
    assert codec.encode(RECORD) == written(STORED)
    assert codec.decode("db", written(STORED)) == RECORD
    assert codec.encode_transition(TURN) == written(["db", *STORED["t"][0]])
    assert codec.decode_transition(codec.encode_transition(TURN)) == TURN


@pytest.mark.parametrize("name", ["z", "b"])
def test_a_state_of_an_earlier_version(name: str) -> None:
    """What was not written then has its default."""
    assert codec.decode("db", written({key: value for key, value in STORED.items() if key != name})) is not None
    result = {key: value for key, value in STORED["r"].items() if key not in "lgeh"}
    found = codec.decode("db", written({**STORED, "r": result}))
    assert found is not None
    assert found.state.result == Result("run", Status.OK, *RESULT_NUMBERS, "reason", "message", {"host": "web"})


RESULT_NUMBERS: Any = (1763608320.125, 1763608350.125, 3.25, {"percent": 25.5})


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        *(((name,), None) for name in ("s", "a", "n", "r", "i", "t")),
        *((("r", name), wrong) for name in ("i", "c", "m") for wrong in (7, "\ud800")),
        *((("r", name), wrong) for name in ("o", "u") for wrong in (-1, 1e308, True, "5", 10**400, float("nan"))),
        *((("r", name), wrong) for name in ("d", "x") for wrong in ([], {"a": 2**53}, {"a": "\ud800"})),
        *((("r", name), wrong) for name in ("g", "h") for wrong in (1, "yes", None)),
        (("r", "t"), 2**53),
        (("r", "e"), ["\ud800"]),
        (("n",), 2**53),
        (("n",), 5.0),
        (("k",), ["error", 2]),
        (("k",), ["error", -1, 6.0]),
        (("t",), [[5, "ok", "error", 1.0, "run"]]),
        (("b",), "\ud800"),
    ],
)
def test_a_state_with_a_value_that_is_not_ours(place: tuple[str, ...], wrong: Any) -> None:
    """It is none."""
    value = json.loads(json.dumps(STORED))
    (value if len(place) == 1 else value[place[0]])[place[-1]] = wrong
    assert codec.decode("db", written(value)) is None
    del (value if len(place) == 1 else value[place[0]])[place[-1]]
    assert place[-1] in "bgeh" or codec.decode("db", written(value)) is None


@pytest.mark.parametrize("value", [NOTICE, ALERT, SILENCE, LETTER], ids=lambda value: type(value).__name__)
def test_values_of_alerting_are_read_as_they_were_written(value: Any) -> None:
    """Field by field; and not with a time, a count or a name that is out of range."""
    raw = alert_codec.encode(value)
    assert alert_codec.decode(type(value), raw) == value
    stored = json.loads(raw)
    for name, wrong in (("since", 1e308), ("at", -1), ("sequence", 2**53), ("attempts", -1), ("check", 'db"')):
        if name in stored:
            assert alert_codec.decode(type(value), written(stored | {name: wrong})) is None
