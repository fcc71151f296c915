"""Fuzzed requests against every endpoint: paths, queries, headers, methods, odd names, and HTTP that is half broken."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import quote, quote_from_bytes

from soak.poison_broken import NAMES
from soak.poison_http import HEALTH, TOKEN, Client, Wrong

THREADS = 4
UNFINISHED = (b"Content-Length", b"Transfer-Encoding", b"CONNECT", b"upgrade")
"""Of requests with these a server may wait for more, or say nothing."""

PLAIN = ("live", "ready", "detailed", "startup", "workers", "alerts", "snapshot", "openapi.json", "docs")
NAMED = ("groups/", "checks/", "docs/static/", "docs/static/x/")
PAST = ("history", "history/overview", "uptime", "events", "detailed")
ROOTS = ("/livez", "/healthz", "/readyz", "/startupz", "/api/health-check", "/admin/monitoring", "/readyz/sound", "/")
PARAMETERS = ("check", "series", "since", "until", "step", "format", "window", "points", "days", "after", "limit", "at")
VALUES: tuple[str, ...] = (
    *(
        "sound",
        "flip",
        "ready",
        "worker:poisoned@soak",
        "queue:celery",
        "now",
        "-1h",
        "-24h",
        "json",
        "csv",
        "60",
        "5m",
    ),
    *("0", "-1", "1e9", "NaN", "Infinity", "inf", "-inf", "99999999999", "99999999999.999999", "9" * 400, "9" * 5000),
    *(
        "1970-01-01",
        "0000-00-00",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59Z",
        "2026-02-30",
        "2026-11-27T24:00Z",
    ),
    *("9999-12-31T23:59:59-23:59", "-999999999d", "999999999d", "999999999.999d", "0ms", "0.001ms", "-0", "+1", "1 d"),
    *(
        "0-0",
        "1-1",
        "9" * 16 + "-" + "9" * 16,
        "18446744073709551615-0",
        "-",
        "$",
        "*",
        "(",
        "24h,7d",
        "24h," * 12 + "1h",
    ),
    *(
        "\u0661\u0662",
        "\u0000",
        "\ud7ff",
        "\u2028",
        "\U0001f600",
        "'",
        '"',
        "<script>",
        "a" * 300,
        "a" * 6000,
        "%",
        "%00",
    ),
    *(
        "../../etc/passwd",
        "..%2f",
        "{0}",
        "%s",
        "response_time_ms",
        "a,b",
        ",",
        "true",
        "null",
        "[]",
        "2",
        "500",
        "1000",
    ),
)
ACCEPTS = (
    "*/*",
    "application/health+json",
    "text/csv",
    "application/json;q=0",
    "",
    ",,,",
    "a" * 3000,
    "\xff",
    "text/plain",
)
TAGS = ("*", '"x"', 'W/"x"', "x", '"', '"a", "b"', "," * 500, '"' + "x" * 3000 + '"', "\xff", 'W/"', '""')
METHODS = (*["GET"] * 30, "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "X" * 50)


@dataclass
class Answered:
    """What came of the requests: how many of each status, and what was wrong, each with its number."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def request(seed: int, number: int) -> bytes:
    """One request's bytes, the same for the same seed and number."""
    rng = random.Random(f"{seed}:request:{number}")
    target, method = _target(rng), rng.choice(METHODS)
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1", "replace")]
    lines += [b"%s: %s" % (name.encode(), value.encode("latin-1", "replace")) for name, value in _headers(rng)]
    raw = b"\r\n".join(lines) + b"\r\n\r\n"
    return _half_broken(rng, raw) if rng.random() < 0.15 else raw


def play(port: int, seed: int, numbers: range) -> Answered:
    """Send the requests of these numbers, several at a time."""
    answered, client, lock = Answered(), Client(port), threading.Lock()

    def run(mine: range) -> None:
        for number in mine:
            raw = request(seed, number)
            said, problem = _sent(client, raw)
            with lock:
                answered.statuses[said] += 1
                if problem:
                    answered.wrong.append(
                        f"--only requests --seed {seed} --number {number}: {problem} for {raw[:300]!r}"
                    )

    threads = [threading.Thread(target=run, args=(numbers[part::THREADS],)) for part in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answered


def _sent(client: Client, raw: bytes) -> tuple[str, str]:
    is_whole = raw.endswith(b"\r\n\r\n") and not any(name in raw for name in UNFINISHED)
    try:
        answer = client.send(raw, is_head=raw.startswith(b"HEAD "), seconds=10.0 if is_whole else 0.3)
    except Wrong as error:
        return "wrong", str(error)
    except TimeoutError:
        return "none in time", "no answer within 10 s" if is_whole else ""
    except OSError as error:
        return "reset", f"{type(error).__name__}: {error}" if is_whole else ""
    return ("closed", "") if answer is None else (str(answer[0]), "")


def _target(rng: random.Random) -> str:
    way = rng.random()
    if way < 0.15:
        path = rng.choice(ROOTS) + rng.choice(("", "/", "//", "/x"))
    elif way < 0.35:
        path = HEALTH + rng.choice(NAMED) + _name(rng) + rng.choice(("", "/"))
    elif way < 0.6:
        path = HEALTH + rng.choice(PLAIN) + rng.choice(("/", "/", "/", "", "//", "/x", "%00", "/../live", ";x"))
    else:
        path = HEALTH + rng.choice(PAST) + rng.choice(("/", "/", ""))
        if rng.random() < 0.8:
            return f"{path}?{_query(rng)}"
    return f"{path}?{_query(rng)}" if rng.random() < 0.4 else path


def _name(rng: random.Random) -> str:
    name = rng.choice(NAMES)[:3000]
    return quote_from_bytes(name) if rng.random() < 0.8 else quote_from_bytes(name, safe='"<>|{}\\^`/:@=+;&')


def _query(rng: random.Random) -> str:
    way = rng.random()
    if way < 0.1:
        return rng.choice(
            (
                "full",
                "at",
                "at=",
                "verbose",
                "exclude=sound",
                "exclude",
                "&&&",
                "=",
                "%",
                "%ff=%fe",
                "a" * 5000,
                "&" * 1100,
            )
        )
    known = [("check", "sound")] if rng.random() < 0.5 else []
    pairs = known + [(rng.choice(PARAMETERS), rng.choice(VALUES)) for _ in range(rng.choice((1, 1, 2, 3)))]
    coded = [f"{name}={quote(value, errors='replace')}" for name, value in pairs]
    return "&".join([*coded, "x=%ED%A0%80"] if way > 0.95 else coded)


def _headers(rng: random.Random) -> list[tuple[str, str]]:
    hosts = (*["localhost"] * 30, "127.0.0.1", "evil.example", "", "a" * 300, "[::1", "x:y", "\xff")
    found = [("Host", rng.choice(hosts)), ("Connection", rng.choice(("close", "close", "keep-alive", "upgrade")))]
    if rng.random() < 0.85:
        found.append(("Authorization", f"Bearer {TOKEN}"))
    elif rng.random() < 0.5:
        found.append(("Authorization", rng.choice(("Bearer", "Bearer \xff", "Basic !!!", "Bearer " + "x" * 3000, ""))))
    odd = (
        ("Accept", ACCEPTS),
        ("If-None-Match", TAGS),
        ("If-Match", TAGS),
        ("If-Modified-Since", ("x", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 99 Foo 99999 00:00:00 GMT", "0" * 500)),
        ("Accept-Encoding", ("gzip", "gzip;q=0", "br", "\xff", "*;q=x")),
        ("Cookie", ("sessionid=x", "=;=;", "a" * 3000, 'x="\\', "csrftoken=\xff")),
        ("Sec-Fetch-Site", ("cross-site", "none", "x")),
        ("X-Forwarded-For", ("127.0.0.1", "x", "1,2,3")),
        ("Forwarded", ("for=_x", ";;=")),
        ("Range", ("bytes=0-1", "bytes=9-1", "x")),
        ("Origin", ("null", "http://evil.example", "x")),
        ("Content-Length", ("0", "5", "-1", "x", "99999999999999999999")),
        ("Transfer-Encoding", ("chunked", "identity", "x")),
        ("Content-Type", ("application/json", "multipart/form-data", "\xff")),
        ("X-Monitor", ("x" * 5000,)),
    )
    for name, values in rng.sample(odd, k=rng.choice((0, 0, 1, 2, 3))):
        found.append((name, rng.choice(values)))
    return found


def _half_broken(rng: random.Random, raw: bytes) -> bytes:
    way = rng.randrange(6)
    place = rng.randrange(1, len(raw))
    if way == 0:
        return raw[:place]
    if way == 1:
        return raw[:place] + rng.randbytes(rng.choice((1, 3))) + raw[place:]
    if way == 2:
        return raw.replace(b"\r\n", b"\n", 1)
    if way == 3:
        return raw.replace(b"HTTP/1.1", rng.choice((b"HTTP/9.9", b"HTTP/1.0", b"", b"HTTP/2.0", b"http/1.1")))
    if way == 4:
        return raw[:-2] + b"".join(b"X-%d: y\r\n" % i for i in range(200)) + b"\r\n"
    return rng.randbytes(rng.choice((1, 20, 5000)))
