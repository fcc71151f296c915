"""Poison in alerting: notices, alerts, silences, dead letters and channels."""

from __future__ import annotations

import random
from collections.abc import Sequence

from soak.poison_broken import CHANNEL, LITERALS, Command, Templates, broken_json, key_of, name_of


def notices(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Notices that wait for a channel."""
    check = rng.choice((b"poisoned", b"flip", name_of(rng)))
    notice = known.notice
    raw = rng.choice((b"%d|" % int(known.now * 1e6), b"", b"x|", b"9" * 400 + b"|")) + broken_json(rng, notice)
    place = key_of("alerting:lane:").encode() + CHANNEL.encode() + b"|" + check
    due = rng.choice((0, "-inf", int(known.now * 1e6)))
    return [("RPUSH", place, raw), ("ZADD", key_of(f"alerting:due:{CHANNEL}"), due, check)]


def alerts(rng: random.Random, known: Templates) -> Sequence[Command]:
    """What alerting remembers of each check, and where it stands in the stream."""
    if rng.random() < 0.25:
        value = rng.choice((*LITERALS, b"0-0", b"18446744073709551615-18446744073709551615", b"1-", b"9" * 30 + b"-1"))
        return [("HSET", key_of("alerting"), rng.choice(("version", "cursor")), value)]
    return [
        (
            "HSET",
            key_of("alerting:alerts"),
            rng.choice((b"flip", b"sound", name_of(rng))),
            broken_json(rng, known.alert),
        )
    ]


def silences(rng: random.Random, known: Templates) -> Sequence[Command]:
    """Silences, dead letters, and what is known of a channel."""
    way = rng.randrange(3)
    if way == 0:
        # A silence over everything would be believed, and rightly.
        broken = broken_json(rng, known.silence).replace(b'"*"', b'"nothing"')
        return [("HSET", key_of("alerting:silences"), name_of(rng), broken)]
    if way == 1:
        return [("LPUSH", key_of("alerting:dead"), broken_json(rng, known.letter))]
    field = rng.choice(("pending", "failures", "reason", "tries:flip", "tries:poisoned"))
    value = rng.choice(LITERALS)
    return [
        ("HSET", key_of(f"alerting:channel:{CHANNEL}"), field, value),
        ("SADD", key_of("alerting:channels"), name_of(rng)),
    ]
