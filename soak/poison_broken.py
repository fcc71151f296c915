"""What poison is made of: texts, numbers and names out of range, and values that the product has written, broken."""

from __future__ import annotations

import functools
import json
import random
import zlib
from collections.abc import Sequence
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
    target: bytes
    transition: bytes
    notes: bytes
    line: bytes
    hour: bytes
    day: bytes
    alert: bytes
    notice: bytes
    silence: bytes
    letter: bytes


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


def key_of(name: str) -> str:
    """The key of the product below its prefix."""
    return f"{PREFIX}{name}"


def name_of(rng: random.Random) -> bytes:
    """One of the names that are none."""
    return rng.choice(NAMES)
