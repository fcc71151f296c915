"""Poisoned values: 24 kinds of what is not what the product would have written, each from a seed of its own.

Each kind takes a value that the product has written (a template) and breaks it in one place, or writes what it never
writes. A kind returns the Redis commands of one value, so a failure is played again by its seed and number.
"""

from __future__ import annotations

import functools
import json
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PREFIX = "monitor:"
CHANNEL = "ops"
NODE = "poisoned@soak"
Command = tuple[Any, ...]

LITERALS: tuple[bytes, ...] = (
    *(b"null true false [] {} 0 -1 1.5 1e308 -1e308 1e999 -1e999 1e-400 NaN Infinity -Infinity -0.0".split()),
    *(str(number).encode() for number in (2**31, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63), 10**18)),
    *(b"9" * digits for digits in (401, 5000)),
    *(rb'"" "1" "\ud800" "x\udfffy" "\u0000" "\u202e" "\u007f" "\u2028" "\ud83d" "ok" "error" "*"'.split()),
    *(rb'"group:\"" "</script><script>" "a\nb" "../../x" "=cmd()" "%s%n" "{0}" "\\" "a|b" "celery:"'.split()),
    *(json.dumps("x" * length).encode() for length in (255, 256, 300, 2001, 60_000)),
    *(json.dumps("\u00e9" * length).encode() for length in (128, 300)),
    *(b"[" * depth + b"]" * depth for depth in (11, 100, 20_000)),
    *(b'{"a":' * depth + b"1" + b"}" * depth for depth in (12, 1000)),
    b'{"a":1,"a":2}',
    b'{"":null,"\\ud800":1}',
    b'{"x":{"y":[1e999]}}',
    b"[1,2,3]",
    b"[[],[]]",
    b'"\xff\xfe"',
    b'"a\x00b"',
)
"""JSON, or nearly, that stands where something else should: numbers, texts and shapes out of range."""

NAMES: tuple[bytes, ...] = (
    *(b'group:" worker: queue: worker:" ".." . / host: :: a|b a|1 | monitor:schedule worker:<script> = +1 @x'.split()),
    *(b"x" * length for length in (255, 256, 300, 5000, 70_000)),
    *(b"worker:" + b"n" * length for length in (249, 300, 2000)),
    *(b"queue:" + name for name in (b"\xff\xfe", b"a\nb", b"a\x00b", b"\xed\xa0\x80", b"%s", b"\xe2\x80\xae", b'"}')),
    *("".join(text).encode() for text in ("\u00e9" * 200, "worker:\u2028@h", "queue:\U0001f600", "  ", "\t")),
    b"",
    b"sound\x00",
    b"sound\n",
    b"Sound",
    b"../../etc/passwd",
    b"worker:a@b\r\nSet-Cookie: x=1",
)
"""Names of checks, workers, queues and fields that are none, or hardly."""

_TOKEN = "@@poison@@"


@dataclass(frozen=True)
class Templates:
    """Values that the running product has written: what is broken is as near to them as it can be."""

    now: float
    state: bytes
    worker_state: bytes
    beacon: bytes
    heartbeat: bytes
    transition: bytes
    notes: bytes
    line: bytes
    hour: bytes
    day: bytes
    alert: bytes
    notice: bytes
    silence: bytes
    letter: bytes


Make = Callable[[random.Random, Templates], Sequence[Command]]


@dataclass(frozen=True)
class Kind:
    """One kind of poison: how many values a full run writes, and how one is made."""

    name: str
    make: Make
    values: int = 125


def broken_json(rng: random.Random, template: bytes) -> bytes:
    """The template with one to three of its values replaced, or its bytes cut, doubled or turned."""
    way = rng.random()
    if way < 0.15:
        return broken_bytes(rng, template)
    if way < 0.2:
        return rng.choice(LITERALS)
    value = json.loads(template)
    places = list(_places(value))
    chosen = rng.sample(places, k=min(len(places), rng.choice((1, 1, 1, 2, 3))))
    for number, (parent, key) in enumerate(chosen):
        if way < 0.3 and isinstance(parent, dict):
            del parent[key]
        elif way < 0.4 and isinstance(parent, dict):
            parent[f"{_TOKEN}{number}"] = parent.pop(key)
        else:
            parent[key] = f"{_TOKEN}{number}"
    raw = json.dumps(value, separators=(",", ":")).encode()
    for number in range(len(chosen)):
        token, literal = f'"{_TOKEN}{number}"'.encode(), rng.choice(LITERALS)
        is_key = token + b":" in raw
        raw = raw.replace(token, literal if not is_key or literal.startswith(b'"') else b'"\\ud800"')
    return raw


def broken_bytes(rng: random.Random, template: bytes) -> bytes:
    """The template cut short, doubled, with a bit turned, or noise in its place."""
    way = rng.randrange(5)
    if not template or way == 0:
        return rng.randbytes(rng.choice((0, 1, 2, 16, 68, 500, 70_000)))
    if way == 1:
        return template[: rng.randrange(len(template))]
    if way == 2:
        return template + template
    place = rng.randrange(len(template))
    if way == 3:
        return template[:place] + bytes((template[place] ^ (1 << rng.randrange(8)),)) + template[place + 1 :]
    return template[:place] + rng.randbytes(rng.choice((1, 4, 64))) + template[place:]


def _places(value: Any) -> Sequence[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: list[tuple[Any, Any]] = []
    for key, item in items:
        found.append((value, key))
        # What is inside a replaced value is gone with it: later replacements there do nothing, which does no harm.
        found += _places(item)
    return found


@functools.cache
def bomb(megabytes: int, fill: bytes = b"\0") -> bytes:
    """A compressed text of so many megabytes, about a thousandth of that in size."""
    packer = zlib.compressobj(9)
    block = fill * 1_000_000
    return b"".join([*(packer.compress(block) for _ in range(megabytes)), packer.flush()])


def _key(name: str) -> str:
    return f"{PREFIX}{name}"


def _name(rng: random.Random) -> bytes:
    return rng.choice(NAMES)


def _state(field: bytes | str, value: bytes) -> Sequence[Command]:
    """A state as another program would write it: with an entry in the change log, so that readers read it."""
    change = ("EVAL", _CHANGED, 2, _key("meta"), _key("changed"), field)
    return [("HSET", _key("states"), field, value), change]


_CHANGED = """
local change = redis.pcall('HINCRBY', KEYS[1], 'change', 1)
if type(change) == 'number' then redis.pcall('ZADD', KEYS[2], change, ARGV[1]) end
"""

_RUNTIME = ("sound", "flip", f"worker:{NODE}", "queue:celery", "worker:gone@soak", "queue:poisoned", "host:poisoned")


def states(rng: random.Random, known: Templates) -> Sequence[Command]:
    """States of checks of the roster."""
    return _state(rng.choice(("sound", "flip")), broken_json(rng, known.state))


def runtime_states(rng: random.Random, known: Templates) -> Sequence[Command]:
    """States of workers, queues and hosts."""
    return _state(rng.choice(_RUNTIME), broken_json(rng, known.worker_state))


def state_names(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Sound states under names that are none."""
    return _state(_name(rng), rng.choice((known.state, known.worker_state)))


def flights(rng: random.Random, _: Templates) -> Sequence[Command]:
    """Flights, tokens, and where the change log and the windows of dispatch stand."""
    value = rng.choice((*LITERALS, b"1:2:3", b"9" * 20 + b":1:x", b"::", b"-1:-1:x"))
    place = rng.choice(("flight", "meta", "changed", "retries", "dispatch"))
    if place == "flight":
        return [("SET", _key(f"flight:{rng.choice(('sound', 'flip', 'monitor:workers'))}"), value, "PX", 1000)]
    if place in ("changed", "retries"):
        score = rng.choice(("inf", "-inf", "1e308", "-1", "9007199254740993", "0"))
        return [("ZADD", _key(place), score, rng.choice((b"sound", b"flip", _name(rng))))]
    return [("HSET", _key(place), rng.choice(("token", "change", "epoch", "at", "fingerprint", "since")), value)]


def beacons(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Beacons of workers, under their names."""
    stamp, _, text = known.beacon.partition(b"|")
    node = rng.choice((b"a@poison", b"b@poison", b"c@poison", NODE.encode()))
    text = text.replace(NODE.encode(), node)
    return [("HSET", _key("beacons"), node, stamp + b"|" + broken_json(rng, text))]


def beacon_stamps(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Beacons with a moment that is none."""
    text = known.beacon.partition(b"|")[2].replace(NODE.encode(), b"stamp@poison")
    now = int(known.now * 1e6)
    stamp = rng.choice((*LITERALS, str(now + 10**10).encode(), str(-now).encode(), b" 12 ", "\u0661\u0662".encode()))
    return [("HSET", _key("beacons"), b"stamp@poison", stamp + rng.choice((b"|", b"", b"||")) + text)]


def beacon_names(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Sound beacons of workers, queues and tasks with names that are none."""
    stamp, _, text = known.beacon.partition(b"|")
    value, name = json.loads(text), _name(rng)
    shown = name.decode(errors="surrogateescape")
    place = rng.choice(("node", "node", "queues", "active", "host", "pool", "instance", "versions", "vitals"))
    value["node"] = "named@poison"
    fresh = {
        "queues": [shown, "celery"],
        "active": [{"task": shown, "age_seconds": 1}],
        "versions": {shown: shown},
        "vitals": {shown: {shown: 1}, "cpu": {shown: 1e308}},
    }
    value[place] = fresh.get(place, shown)
    field = name if place == "node" else b"named@poison"
    return [("HSET", _key("beacons"), field, stamp + b"|" + json.dumps(value).encode())]


def heartbeats(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Heartbeats that were executed, and when they were sent."""
    field = rng.choice((b"worker:" + NODE.encode(), b"queue:celery", b"worker:" + _name(rng), _name(rng)))
    value = rng.choice((broken_bytes(rng, known.heartbeat), rng.choice(LITERALS) + b"|" + rng.choice(LITERALS) + b"|x"))
    return [("HSET", _key(rng.choice(("heartbeats", "emitted"))), field, value)]


def transitions(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Entries of the stream of transitions."""
    return [("XADD", _key("transitions"), "*", "id", "flip:1", "transition", broken_json(rng, known.transition))]


def transition_names(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Sound transitions of checks with names that are none, and entries with other fields."""
    value, name = json.loads(known.transition), _name(rng)
    value[0] = name.decode(errors="surrogateescape")
    raw = json.dumps(value).encode()
    fields = rng.choice(
        (("id", name + b":1", "transition", raw), ("transition", raw), (b"x" + name, name), ("id", name))
    )
    return [("XADD", _key("transitions"), "*", *fields)]


def round_state(rng: random.Random, known: Templates) -> Sequence[Command]:
    """What a round over the workers has noted for the next."""
    return [("SET", _key("fleet"), broken_json(rng, known.notes))]


def history_lines(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Samples that wait to be packed."""
    hour, name = int(known.now // 3600) - rng.randrange(3), rng.choice((b"sound", b"flip", _name(rng)))
    lines = [broken_json(rng, known.line) for _ in range(rng.choice((1, 40)))]
    key = _key("open:").encode() + name + b":%d" % hour
    return [("RPUSH", key, *lines), ("ZADD", _key("open"), (hour + 1) * 3600, name + b"|%d" % hour)]


def history_hours(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Blocks of an hour's samples."""
    hour = int(known.now // 3600) - rng.randrange(3)
    check = rng.choice(("sound", "flip"))
    return [
        ("SET", _key(f"raw:{check}:{hour}"), broken_block(rng, known.hour), "EX", 3600),
        ("ZADD", _key("blocks:raw"), hour * 4294967296 + 100, f"{check}|{hour}"),
    ]


def history_days(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Blocks of a day's roll-ups."""
    day = int(known.now // 86_400) - rng.randrange(3)
    check = rng.choice(("sound", "flip"))
    return [
        ("SET", _key(f"roll:{check}:{day}"), broken_block(rng, known.day), "EX", 3600),
        ("ZADD", _key("blocks:roll"), day * 4294967296 + 100, f"{check}|{day}"),
    ]


def broken_block(rng: random.Random, template: bytes) -> bytes:
    """A block of history: broken outside, or packed anew around a broken inside, or one that unpacks without end."""
    way = rng.random()
    if way < 0.3:
        return broken_bytes(rng, template)
    start = template.find(b"\x78")
    head, packed = template[:start], template[start:]
    if way < 0.4:
        return head + bomb(rng.choice((9, 50)))
    try:
        inside = zlib.decompress(packed)
    except zlib.error:
        return broken_bytes(rng, template)
    length = int.from_bytes(inside[:4], "little")
    about = broken_json(rng, inside[4 : 4 + length])
    if way < 0.7:
        return head + zlib.compress(len(about).to_bytes(4, "little") + about + inside[4 + length :])
    return head + zlib.compress(broken_bytes(rng, inside))


def history_indexes(rng: random.Random, known: Templates) -> Sequence[Command]:
    """The indexes of what waits and of the blocks."""
    hour = int(known.now // 3600)
    members = (b"sound|x", b"sound|", b"|", b"sound|1e9", b"sound|-5", b"sound|%d" % (hour + 10**9), b"sound")
    member = rng.choice((*members, _name(rng), _name(rng) + b"|%d" % hour, b"sound|" + b"9" * 5000))
    score = rng.choice(("inf", "-inf", "1e308", "-1", "0", str(hour * 3600), str(hour * 4294967296 + 7)))
    if rng.random() < 0.2:
        return [("HSET", _key("blocks"), rng.choice(("bytes", "since", "evicted")), rng.choice(LITERALS))]
    return [("ZADD", _key(rng.choice(("open", "blocks:raw", "blocks:roll"))), score, member)]


def notices(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Notices that wait for a channel."""
    check = rng.choice((b"poisoned", b"flip", _name(rng)))
    notice = known.notice
    raw = rng.choice((b"%d|" % int(known.now * 1e6), b"", b"x|", b"9" * 400 + b"|")) + broken_json(rng, notice)
    place = _key("alerting:lane:").encode() + CHANNEL.encode() + b"|" + check
    due = rng.choice((0, "-inf", int(known.now * 1e6)))
    return [("RPUSH", place, raw), ("ZADD", _key(f"alerting:due:{CHANNEL}"), due, check)]


def alerts(rng: random.Random, known: Templates) -> Sequence[Command]:
    """What alerting remembers of each check, and where it stands in the stream."""
    if rng.random() < 0.25:
        value = rng.choice((*LITERALS, b"0-0", b"18446744073709551615-18446744073709551615", b"1-", b"9" * 30 + b"-1"))
        return [("HSET", _key("alerting"), rng.choice(("version", "cursor")), value)]
    return [
        ("HSET", _key("alerting:alerts"), rng.choice((b"flip", b"sound", _name(rng))), broken_json(rng, known.alert))
    ]


def silences(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Silences, dead letters, and what is known of a channel."""
    way = rng.randrange(3)
    if way == 0:
        # A silence over everything would be believed, and rightly.
        broken = broken_json(rng, known.silence).replace(b'"*"', b'"nothing"')
        return [("HSET", _key("alerting:silences"), _name(rng), broken)]
    if way == 1:
        return [("LPUSH", _key("alerting:dead"), broken_json(rng, known.letter))]
    field = rng.choice(("pending", "failures", "reason", "tries:flip", "tries:poisoned"))
    value = rng.choice(LITERALS)
    return [
        ("HSET", _key(f"alerting:channel:{CHANNEL}"), field, value),
        ("SADD", _key("alerting:channels"), _name(rng)),
    ]


def memories(rng: random.Random, _: Templates) -> Sequence[Command]:
    """Memories of checks, compressed."""
    book = b'{"v":1,"at":17000000000,"first":5,"groups":{"g":[1,2,3,4,5,1,null,null,null,null,{},{},[],[],null]}}'
    text = broken_json(rng, book)
    raw = rng.choice((zlib.compress(text), broken_bytes(rng, zlib.compress(text)), zlib.compress(b"\xff\xfe" + text)))
    return [("HSET", _key("memory"), rng.choice((b"sound", b"flip", _name(rng))), raw)]


def memory_bombs(rng: random.Random, _: Templates) -> Sequence[Command]:
    """Memories that unpack to very much."""
    raw = bomb(rng.choice((9, 50, 300)), rng.choice((b"\0", b"x", b"[")))
    return [("HSET", _key("memory"), rng.choice(("sound", "flip")), raw)]


KEYS: Mapping[str, str] = {
    **dict.fromkeys(("states", "meta", "dispatch", "memory", "beacons", "heartbeats", "emitted", "blocks"), "hash"),
    **dict.fromkeys(("alerting", "alerting:alerts", "alerting:silences", f"alerting:channel:{CHANNEL}"), "hash"),
    **dict.fromkeys(("changed", "retries", "open", "blocks:raw", "blocks:roll", f"alerting:due:{CHANNEL}"), "zset"),
    **dict.fromkeys(("fleet", "flight:sound", "flight:flip", "alerting:turn", f"alerting:flight:{CHANNEL}"), "string"),
    **dict.fromkeys(("alerting:dead", f"alerting:lane:{CHANNEL}|flip"), "list"),
    "alerting:channels": "set",
    "transitions": "stream",
}
"""Every key of the product below its prefix, and its type."""


def wrong_types(rng: random.Random, _: Templates) -> Sequence[Command]:
    """Keys of another type."""
    name = rng.choice(tuple(KEYS))
    others: Mapping[str, Command] = {
        "string": ("SET", _key(name), "rubbish"),
        "list": ("RPUSH", _key(name), "rubbish", "more"),
        "set": ("SADD", _key(name), "rubbish"),
        "hash": ("HSET", _key(name), "rubbish", "more"),
        "zset": ("ZADD", _key(name), 1, "rubbish"),
        "stream": ("XADD", _key(name), "*", "rubbish", "more"),
    }
    return [("DEL", _key(name)), rng.choice([command for kind, command in others.items() if kind != KEYS[name]])]


def huge_values(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Single values of 1 to 300 MB."""
    value = rng.choice((b"x", b"[", b'"')) * (rng.choice((1, 8, 64)) * 1_000_000)
    stamp = known.beacon.partition(b"|")[0]
    places: Sequence[Command] = (
        ("HSET", _key("states"), "sound", value),
        ("HSET", _key("states"), "worker:huge@poison", value),
        ("HSET", _key("beacons"), "huge@poison", stamp + b"|" + value),
        ("HSET", _key("beacons"), "larger@poison", stamp + b"|" + value[:1_000_000] * 300),
        ("HSET", _key("heartbeats"), b"worker:huge", value),
        ("HSET", _key("memory"), "sound", value),
        ("SET", _key("fleet"), value),
        ("XADD", _key("transitions"), "*", "id", "flip:1", "transition", value),
        ("HSET", _key("alerting:alerts"), "flip", value),
        ("HSET", _key("alerting:silences"), "x", value),
        ("LPUSH", _key("alerting:dead"), value),
        ("RPUSH", _key(f"open:sound:{int(known.now // 3600)}"), value),
        ("SET", _key(f"raw:sound:{int(known.now // 3600)}"), value),
        ("SET", _key(f"roll:sound:{int(known.now // 86_400)}"), value),
        ("ZADD", _key("open"), 0, value),
        ("SET", _key("flight:sound"), value, "PX", 1000),
    )
    return [rng.choice(places)]


_FILL = """
local size = tonumber(ARGV[1])
for i = tonumber(ARGV[2]), tonumber(ARGV[2]) + size - 1 do
  local name = ARGV[3] .. i
  if ARGV[4] == 'hash' then redis.pcall('HSET', KEYS[1], name, ARGV[5])
  elseif ARGV[4] == 'zset' then redis.pcall('ZADD', KEYS[1], i, name)
  elseif ARGV[4] == 'list' then redis.pcall('RPUSH', KEYS[1], ARGV[5])
  elseif ARGV[4] == 'set' then redis.pcall('SADD', KEYS[1], name)
  else redis.pcall('XADD', KEYS[1], '*', 'id', name .. ':1', 'transition', ARGV[5]) end
end
"""


def huge_collections(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Collections of 20,000 to 300,000 members, junk or as good as real ones."""
    junk: Mapping[str, bytes] = {"states": known.worker_state, "beacons": known.beacon, "alerting:alerts": known.alert}
    name = rng.choice([name for name, kind in KEYS.items() if kind != "string"])
    size, begin = rng.choice((20_000, 20_000, 100_000, 300_000)), rng.randrange(10**6)
    value = rng.choice((b"junk", junk.get(name, b"junk")))
    if len(value) > 10:
        size = 5000
    step = 20_000
    return [
        (
            "EVAL",
            _FILL,
            1,
            _key(name),
            min(step, size - at),
            begin + at,
            rng.choice(("j", "worker:j")),
            KEYS[name],
            value,
        )
        for at in range(0, size, step)
    ]


KINDS: tuple[Kind, ...] = (
    Kind("states", states),
    Kind("runtime-states", runtime_states),
    Kind("state-names", state_names),
    Kind("flights", flights),
    Kind("beacons", beacons),
    Kind("beacon-stamps", beacon_stamps),
    Kind("beacon-names", beacon_names),
    Kind("heartbeats", heartbeats),
    Kind("transitions", transitions),
    Kind("transition-names", transition_names),
    Kind("round-state", round_state),
    Kind("history-lines", history_lines),
    Kind("history-hours", history_hours),
    Kind("history-days", history_days),
    Kind("history-indexes", history_indexes),
    Kind("notices", notices),
    Kind("alerts", alerts),
    Kind("silences", silences),
    Kind("memories", memories),
    Kind("memory-bombs", memory_bombs, values=40),
    Kind("wrong-types", wrong_types, values=125),
    Kind("huge-values", huge_values, values=30),
    Kind("huge-collections", huge_collections, values=25),
    Kind("mixed", lambda rng, known: rng.choice(KINDS[:-4]).make(rng, known), values=130),
)
"""24 kinds, 2,725 values in a full run."""
