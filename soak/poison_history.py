"""Poison in history: samples, blocks of hours and days, and their indexes."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

from soak.poison_broken import LITERALS, Command, Templates, bomb, broken_bytes, broken_json, key_of, name_of


def history_lines(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Samples that wait to be packed."""
    hour, name = int(known.now // 3600) - rng.randrange(3), rng.choice((b"sound", b"flip", name_of(rng)))
    lines = [broken_json(rng, known.line) for _ in range(rng.choice((1, 40)))]
    key = key_of("open:").encode() + name + b":%d" % hour
    return [("RPUSH", key, *lines), ("ZADD", key_of("open"), (hour + 1) * 3600, name + b"|%d" % hour)]


def history_hours(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Blocks of an hour's samples."""
    hour = int(known.now // 3600) - rng.randrange(3)
    check = rng.choice(("sound", "flip"))
    return [
        ("SET", key_of(f"raw:{check}:{hour}"), broken_block(rng, known.hour), "EX", 3600),
        ("ZADD", key_of("blocks:raw"), hour * 4294967296 + 100, f"{check}|{hour}"),
    ]


def history_days(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Blocks of a day's roll-ups."""
    day = int(known.now // 86_400) - rng.randrange(3)
    check = rng.choice(("sound", "flip"))
    return [
        ("SET", key_of(f"roll:{check}:{day}"), broken_block(rng, known.day), "EX", 3600),
        ("ZADD", key_of("blocks:roll"), day * 4294967296 + 100, f"{check}|{day}"),
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
    member = rng.choice((*members, name_of(rng), name_of(rng) + b"|%d" % hour, b"sound|" + b"9" * 5000))
    score = rng.choice(("inf", "-inf", "1e308", "-1", "0", str(hour * 3600), str(hour * 4294967296 + 7)))
    if rng.random() < 0.2:
        return [("HSET", key_of("blocks"), rng.choice(("bytes", "since", "evicted")), rng.choice(LITERALS))]
    return [("ZADD", key_of(rng.choice(("open", "blocks:raw", "blocks:roll"))), score, member)]
