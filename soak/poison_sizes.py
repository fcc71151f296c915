"""Poison by size and type: what unpacks to very much, keys of another type, huge values and huge collections."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from soak.poison_broken import CHANNEL, Command, Templates, bomb, key_of


def memory_bombs(rng: random.Random, _: Templates) -> Sequence[Command]:
    """Memories that unpack to very much."""
    raw = bomb(rng.choice((9, 50, 300)), rng.choice((b"\0", b"x", b"[")))
    return [("HSET", key_of("memory"), rng.choice(("sound", "flip")), raw)]


KEYS: Mapping[str, str] = {
    **dict.fromkeys(("states", "meta", "dispatch", "memory", "beacons", "heartbeats", "emitted", "blocks"), "hash"),
    **dict.fromkeys(("alerting", "alerting:alerts", "alerting:silences", f"alerting:channel:{CHANNEL}"), "hash"),
    **dict.fromkeys(("changed", "retries", "open", "blocks:raw", "blocks:roll", f"alerting:due:{CHANNEL}"), "zset"),
    **dict.fromkeys(
        ("project", "fleet", "flight:sound", "flight:flip", "alerting:turn", f"alerting:flight:{CHANNEL}"), "string"
    ),
    **dict.fromkeys(("alerting:dead", f"alerting:lane:{CHANNEL}|flip"), "list"),
    "alerting:channels": "set",
    "transitions": "stream",
}
"""Every key of the product below its prefix, and its type."""


def wrong_types(rng: random.Random, _: Templates) -> Sequence[Command]:
    """Keys of another type."""
    name = rng.choice(tuple(KEYS))
    others: Mapping[str, Command] = {
        "string": ("SET", key_of(name), "rubbish"),
        "list": ("RPUSH", key_of(name), "rubbish", "more"),
        "set": ("SADD", key_of(name), "rubbish"),
        "hash": ("HSET", key_of(name), "rubbish", "more"),
        "zset": ("ZADD", key_of(name), 1, "rubbish"),
        "stream": ("XADD", key_of(name), "*", "rubbish", "more"),
    }
    return [("DEL", key_of(name)), rng.choice([command for kind, command in others.items() if kind != KEYS[name]])]


def huge_values(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Single values of 1 to 300 MB."""
    value = rng.choice((b"x", b"[", b'"')) * (rng.choice((1, 8, 64)) * 1_000_000)
    stamp = known.beacon.partition(b"|")[0]
    places: Sequence[Command] = (
        ("HSET", key_of("states"), "sound", value),
        ("HSET", key_of("states"), "worker:huge@poison", value),
        ("HSET", key_of("beacons"), "huge@poison", stamp + b"|" + value),
        ("HSET", key_of("beacons"), "larger@poison", stamp + b"|" + value[:1_000_000] * 300),
        ("HSET", key_of("heartbeats"), b"worker:huge", value),
        ("HSET", key_of("memory"), "sound", value),
        ("SET", key_of("fleet"), value),
        ("XADD", key_of("transitions"), "*", "id", "flip:1", "transition", value),
        ("HSET", key_of("alerting:alerts"), "flip", value),
        ("HSET", key_of("alerting:silences"), "x", value),
        ("LPUSH", key_of("alerting:dead"), value),
        ("RPUSH", key_of(f"open:sound:{int(known.now // 3600)}"), value),
        ("SET", key_of(f"raw:sound:{int(known.now // 3600)}"), value),
        ("SET", key_of(f"roll:sound:{int(known.now // 86_400)}"), value),
        ("ZADD", key_of("open"), 0, value),
        ("SET", key_of("flight:sound"), value, "PX", 1000),
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
            key_of(name),
            min(step, size - at),
            begin + at,
            rng.choice(("j", "worker:j")),
            KEYS[name],
            value,
        )
        for at in range(0, size, step)
    ]
