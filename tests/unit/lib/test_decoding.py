"""The border: what passes it is ours, and what does not costs no more than reading it."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from monitor.agent import protocol
from monitor.lib import decoding
from monitor.policy.consumer_groups import codec as groups
from monitor.policy.workers import round_state
from monitor.store import codec

HUGE = 10**400
WRONG = [
    pytest.param(decoding.check_name, 'group:"', id="a quote"),
    pytest.param(decoding.check_name, "x" * 201, id="a long name"),
    pytest.param(decoding.check_name, "", id="no name"),
    pytest.param(decoding.check_name, "db\n", id="a line"),
    pytest.param(decoding.object_name, "", id="an empty label"),
    pytest.param(decoding.object_name, "ä" * 128, id="256 bytes"),
    pytest.param(decoding.object_name, "\ud800", id="a lone surrogate"),
    pytest.param(decoding.text, 5, id="no text"),
    pytest.param(decoding.moment, 1e308, id="a late time"),
    pytest.param(decoding.moment, -1, id="an early time"),
    pytest.param(decoding.moment, float("nan"), id="no time"),
    pytest.param(decoding.moment, HUGE, id="a time of 401 digits"),
    pytest.param(decoding.moment, True, id="truth is no time"),
    pytest.param(decoding.amount, HUGE, id="an amount of 401 digits"),
    pytest.param(decoding.count, 2**53, id="2**53"),
    pytest.param(decoding.count, -1, id="a negative count"),
    pytest.param(decoding.count, 1.0, id="a float count"),
    pytest.param(decoding.digits, b"9" * 5000, id="5,000 digits"),
    pytest.param(decoding.mapping, {"a": HUGE}, id="a number of 401 digits within"),
    pytest.param(decoding.mapping, {"a": ["\ud800"]}, id="a surrogate within"),
    pytest.param(decoding.mapping, {"\ud800": 1}, id="a surrogate as a name"),
    pytest.param(decoding.mapping, {"a": float("inf")}, id="infinity within"),
]


@pytest.mark.parametrize(("decode", "value"), WRONG)
def test_what_is_not_ours_is_refused(decode: Any, value: Any) -> None:
    """By one of the exceptions that every reader expects."""
    with pytest.raises(decoding.BROKEN):
        decode(value)


def test_what_is_ours_is_returned() -> None:
    """Up to the very limits."""
    assert decoding.check_name("A" * 200) == "A" * 200
    assert decoding.object_name("ä" * 127) == "ä" * 127
    assert decoding.moment(0) == 0.0
    assert decoding.count(2**53 - 1) == 2**53 - 1
    assert decoding.digits(b"1763608320123456") == 1763608320123456
    assert decoding.mapping({"a": [1, {"b": None}], "ü": 1.5}) == {"a": [1, {"b": None}], "ü": 1.5}


def test_nothing_is_nested_without_end() -> None:
    """As deep as the limit, and no deeper."""

    def nested(depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(depth):
            value = {"a": value}
        return value

    decoding.mapping(nested(decoding.DEPTH_LIMIT))
    with pytest.raises(ValueError, match="deep"):
        decoding.mapping(nested(decoding.DEPTH_LIMIT + 1))
    with pytest.raises(decoding.BROKEN):
        decoding.load(b"[" * 60_000, max_bytes=65_536)


@pytest.mark.parametrize("raw", [b"NaN", b"[1e999]", b'{"a":-Infinity}', b"\xff", b"1" * 5000, b'"' + b"x" * 100])
def test_json_that_is_refused(raw: bytes) -> None:
    """No NaN, no infinity, no bytes that are no text, no number without end, nothing longer than it may be."""
    with pytest.raises(decoding.BROKEN):
        decoding.load(raw, max_bytes=90)
        decoding.count(int(raw))


def test_a_small_stream_that_unpacks_to_much_is_refused() -> None:
    """305 kB that would be 300 MB: no more than the limit is ever unpacked."""
    packing = zlib.compressobj(9)
    bomb = b"".join(packing.compress(bytes(10**6)) for _ in range(300)) + packing.flush()
    assert len(bomb) < 310_000
    with pytest.raises(ValueError, match="too long"):
        decoding.inflate(bomb, max_bytes=10**6)
    assert codec.decode_memory(bomb) is None
    with pytest.raises(ValueError, match="cut short"):
        decoding.inflate(zlib.compress(b"x" * 1000)[:-4], max_bytes=10**6)
    assert codec.decode_memory(codec.encode_memory("what it remembers")) == "what it remembers"


def test_the_memory_of_a_kafka_check_has_few_parts() -> None:
    """Eight megabytes of empty lists would take a gigabyte."""
    assert groups.decode('{"v":1,"at":1,"first":0,"groups":{"g":[' + "[]," * 2_000_000 + "[]]}}", 5.0).groups == {}


def test_one_bad_entry_of_the_round_state_takes_nothing_with_it() -> None:
    """It is left out and counted; a time that is to come is none, for it would never be over."""
    good = round_state.RoundState(
        1000.0,
        unanswered={"worker:w@h": (990.0,)},
        worked={"w@h": (5, 990.0)},
        departed={"v@h": 5.0},
        queues={
            "celery": round_state.QueueRoundState(990.0, 995.0),
            "mail": round_state.QueueRoundState(990.0, 995.0, "head", 996.0, left_at=997.0, instance="4f"),
        },
        written=frozenset({"workers", "worker:w@h"}),
    )
    value = json.loads(round_state.encode(good))
    value["asked"] |= {"worker:x": [HUGE], "worker:" + "y" * 300: [1.0], "worker:z": [1e9], "\ud800": [1.0]}
    value["worked"] |= {"x": [2**60, 1.0], "y": None}
    value["departed"]["x"] = 1e308
    value["queues"] |= {"x" * 256: [1.0, 1.0, None, None], "y": []}
    value["written"] += ["database", 'worker:"', 7, "worker:" + "x" * 300]
    assert round_state.decode(json.dumps(value).encode()) == (good, 13)
    assert round_state.decode(round_state.encode(good)) == (good, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"active_count": HUGE},
        {"vitals": {"cpu": {"percent": HUGE}}},
        {"node": "x" * 300},
        {"host": ""},
        {"done": -1},
        {"queues": ["mail"], "short_lived": {"mail": "x" * 300}},
        {"queues": ["mail"], "short_lived": {"mail": 7}},
        {"queues": ["mail"], "short_lived": 7},
        {"up_seconds": 1e300},
        {"instance": "\ud800"},
        {"versions": {"celery": 5}},
    ],
)
def test_a_beacon_of_odd_values_is_none(wrong: dict[str, Any]) -> None:
    """Text that encodes, numbers in their range."""
    beacon = protocol.Beacon("w@h", "h", 1, "prefork", 2, 10.0, 100.0)
    value = json.loads(protocol.encode(beacon))
    assert protocol.decode(json.dumps(value)) == beacon
    assert protocol.decode(json.dumps(value | wrong)) is None


def test_a_queue_of_a_long_name_does_not_take_its_worker_with_it() -> None:
    """No heartbeat can be sent there; Redis knows no such limit, so that a sound worker may have one."""
    beacon = protocol.Beacon("w@h", "h", 1, "prefork", 2, 10.0, 100.0, queues=("celery", "x" * 300))
    decoded = protocol.decode(protocol.encode(beacon))
    assert decoded is not None
    assert decoded.queues == ("celery",)


def test_what_a_check_reports_can_always_be_read_again() -> None:
    """Numbers beyond JSON's and halves of letters become the nearest thing."""
    found = codec.storable({"n": 2**60, "m": HUGE, "t": "\ud800", "s": {1: [2**53]}, "f": float("nan")})
    assert found == {"n": float(2**60), "m": None, "t": "?", "s": {"1": [float(2**53)]}, "f": None}
    assert decoding.mapping(json.loads(codec.dump(found))) == found
    assert json.loads(codec.dump({"message": "half \ud800", "pair": "\U0001f600"})) == {
        "message": "half ?",
        "pair": "\U0001f600",
    }
