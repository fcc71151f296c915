"""Poison in what is known of checks and workers: states, flights, beacons, heartbeats, transitions, memories."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Sequence

from soak.poison_broken import LITERALS, NODE, Command, Templates, broken_bytes, broken_json, key_of, name_of


def _state(field: bytes | str, value: bytes) -> Sequence[Command]:
    """A state as another program would write it: with an entry in the change log, so that readers read it."""
    change = ("EVAL", _CHANGED, 2, key_of("meta"), key_of("changed"), field)
    return [("HSET", key_of("states"), field, value), change]


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
    return _state(name_of(rng), rng.choice((known.state, known.worker_state)))


def flights(rng: random.Random, _: Templates) -> Sequence[Command]:
    """Flights, tokens, and where the change log and the windows of dispatch stand."""
    value = rng.choice((*LITERALS, b"1:2:3", b"9" * 20 + b":1:x", b"::", b"-1:-1:x"))
    place = rng.choice(("flight", "meta", "changed", "retries", "dispatch"))
    if place == "flight":
        return [("SET", key_of(f"flight:{rng.choice(('sound', 'flip', 'monitor:workers'))}"), value, "PX", 1000)]
    if place in ("changed", "retries"):
        score = rng.choice(("inf", "-inf", "1e308", "-1", "9007199254740993", "0"))
        return [("ZADD", key_of(place), score, rng.choice((b"sound", b"flip", name_of(rng))))]
    return [("HSET", key_of(place), rng.choice(("token", "change", "epoch", "at", "fingerprint", "since")), value)]


def beacons(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Beacons of workers, under their names, and as those of further instances of a name."""
    stamp, _, text = known.beacon.partition(b"|")
    node = rng.choice((b"a@poison", b"b@poison", b"c@poison", NODE.encode()))
    text = text.replace(NODE.encode(), node)
    field = rng.choice((node, known.target.replace(NODE.encode(), node)))
    return [("HSET", key_of("beacons"), field, stamp + b"|" + broken_json(rng, text))]


def beacon_stamps(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Beacons with a moment that is none."""
    text = known.beacon.partition(b"|")[2].replace(NODE.encode(), b"stamp@poison")
    now = int(known.now * 1e6)
    stamp = rng.choice((*LITERALS, str(now + 10**10).encode(), str(-now).encode(), b" 12 ", "\u0661\u0662".encode()))
    return [("HSET", key_of("beacons"), b"stamp@poison", stamp + rng.choice((b"|", b"", b"||")) + text)]


def beacon_names(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Sound beacons of workers, queues and tasks with names that are none."""
    stamp, _, text = known.beacon.partition(b"|")
    value, name = json.loads(text), name_of(rng)
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
    return [("HSET", key_of("beacons"), field, stamp + b"|" + json.dumps(value).encode())]


def heartbeats(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Heartbeats that were executed, and when they were sent."""
    own = b"worker:" + rng.choice((known.target, NODE.encode()))  # agents of earlier versions write the second
    field = rng.choice((own, b"queue:celery", b"worker:" + name_of(rng), name_of(rng)))
    value = rng.choice((broken_bytes(rng, known.heartbeat), rng.choice(LITERALS) + b"|" + rng.choice(LITERALS) + b"|x"))
    return [("HSET", key_of(rng.choice(("heartbeats", "emitted"))), field, value)]


def transitions(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Entries of the stream of transitions."""
    return [("XADD", key_of("transitions"), "*", "id", "flip:1", "transition", broken_json(rng, known.transition))]


def transition_names(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Sound transitions of checks with names that are none, and entries with other fields."""
    value, name = json.loads(known.transition), name_of(rng)
    value[0] = name.decode(errors="surrogateescape")
    raw = json.dumps(value).encode()
    fields = rng.choice(
        (("id", name + b":1", "transition", raw), ("transition", raw), (b"x" + name, name), ("id", name))
    )
    return [("XADD", key_of("transitions"), "*", *fields)]


def round_state(rng: random.Random, known: Templates) -> Sequence[Command]:
    """What a round over the workers has noted for the next."""
    return [("SET", key_of("fleet"), broken_json(rng, known.notes))]


def memories(rng: random.Random, _: Templates) -> Sequence[Command]:
    """Memories of checks, compressed."""
    book = b'{"v":1,"at":17000000000,"first":5,"groups":{"g":[1,2,3,4,5,1,null,null,null,null,{},{},[],[],null]}}'
    text = broken_json(rng, book)
    raw = rng.choice((zlib.compress(text), broken_bytes(rng, zlib.compress(text)), zlib.compress(b"\xff\xfe" + text)))
    return [("HSET", key_of("memory"), rng.choice((b"sound", b"flip", name_of(rng))), raw)]
