"""The two Lua scripts by which an agent writes. Every stamp is the server's TIME: the one clock of all."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError


class Script(NamedTuple):
    """A script's text, and the digest by which a server that has seen it knows it."""

    text: str
    sha: str


def run(client: Any, script: Script, keys: tuple[str, ...], arguments: tuple[Any, ...]) -> Any:
    """The script's answer, in one round trip once the server knows it. Raises redis.RedisError."""
    try:
        return client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
    except NoScriptError:
        return client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)


def _script(text: str) -> Script:
    whole = _NOW + text
    return Script(whole, hashlib.sha1(whole.encode(), usedforsecurity=False).hexdigest())


# As text: a Lua number of this size would be written in scientific notation.
_NOW = """
local time = redis.call('TIME')
local now = time[1] .. string.rep('0', 6 - #time[2]) .. time[2]
"""

BEACON = _script("""
-- KEYS: beacons, heartbeats, emitted. ARGV: node, beacon, instance, field of the node's heartbeats.
-- Keeps: nothing comes after the goodbye of an instance, however late the server takes it from a broken connection.
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not (old and string.find(old, '"leaving":true', 1, true)
        and string.find(old, '"instance":"' .. ARGV[3] .. '"', 1, true)) then
    redis.call('HSET', KEYS[1], ARGV[1], now .. '|' .. ARGV[2])
end
return {now, redis.call('HGET', KEYS[2], ARGV[4]), redis.call('HGET', KEYS[3], ARGV[4])}
""")
"""Write a beacon; answers now, and the node's newest executed and newest emitted heartbeat (bytes or None)."""

EXECUTED = _script("""
-- KEYS: heartbeats. ARGV: field, sent (microseconds), node.
-- Keeps: the newest heartbeat that was executed stays, whatever older one arrives later.
local old = redis.call('HGET', KEYS[1], ARGV[1])
local sent = old and tonumber(string.match(old, '^%d+'))
if not sent or sent < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '|' .. now .. '|' .. ARGV[3])
end
return now
""")
"""Record that a heartbeat was executed."""
