"""The two Lua scripts by which an agent writes. Every stamp is the server's TIME: the one clock of all."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError


class AgentScript(NamedTuple):
    """A script's text, and the digest by which a server that has seen it knows it."""

    text: str
    sha: str


def run(client: Any, script: AgentScript, keys: tuple[str, ...], arguments: tuple[Any, ...]) -> Any:
    """The script's answer, in one round trip once the server knows it. Raises redis.RedisError."""
    try:
        return client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
    except NoScriptError:
        return client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)


def _script(text: str) -> AgentScript:
    whole = _NOW + text
    return AgentScript(whole, hashlib.sha1(whole.encode(), usedforsecurity=False).hexdigest())


# As text: a Lua number of this size would be written in scientific notation.
_NOW = """
local time = redis.call('TIME')
local now = time[1] .. string.rep('0', 6 - #time[2]) .. time[2]

-- A field of at most so many bytes. What is longer, and a key of another type, is not ours: it is removed, where the
-- user of the store may do so, and read like a field that is absent.
local function field(key, name, limit)
    local length = redis.pcall('HSTRLEN', key, name)
    if type(length) == 'number' and length > limit then redis.pcall('HDEL', key, name) return false end
    if type(length) == 'table' and string.find(length.err, 'WRONGTYPE', 1, true) then
        redis.pcall('DEL', key)
        return false
    end
    local value = redis.pcall('HGET', key, name)
    return type(value) == 'string' and #value <= limit and value
end
"""

BEACON = _script("""
-- KEYS: beacons, heartbeats, emitted. ARGV: node, beacon, instance, field of the instance's heartbeats.
-- Keeps: nothing comes after the goodbye of an instance, however late the server takes it from a broken connection.
-- No instance overwrites what another one of this node has written: that is moved beside it.
local old = field(KEYS[1], ARGV[1], 65536)
local other = old and string.match(old, '"instance":"(%w+)"')
if other == ARGV[3] then other = nil end
local aside = ARGV[1] .. '.' .. ARGV[3]
local mine = old
if other then mine = field(KEYS[1], aside, 65536) end
if not (mine and string.find(mine, '"leaving":true', 1, true)
        and string.find(mine, '"instance":"' .. ARGV[3] .. '"', 1, true)) then
    if other then
        -- When no monitor removes what is past, the number of restarts must not be the number of fields.
        local size = redis.pcall('HLEN', KEYS[1])
        if type(size) ~= 'number' or size < 5000 then redis.call('HSET', KEYS[1], ARGV[1] .. '.' .. other, old) end
        redis.pcall('HDEL', KEYS[1], aside)
    end
    redis.call('HSET', KEYS[1], ARGV[1], now .. '|' .. ARGV[2])
end
return {now, field(KEYS[2], ARGV[4], 1000), field(KEYS[3], ARGV[4], 1000)}
""")
"""Write a beacon; answers now, and the instance's newest executed and newest emitted heartbeat (bytes or None)."""

EXECUTED = _script("""
-- KEYS: heartbeats. ARGV: field, sent (microseconds), node and instance.
-- Keeps: the newest heartbeat that was executed stays, whatever older one arrives later.
local old = field(KEYS[1], ARGV[1], 1000)
local stamp = old and string.match(old, '^%d+')
local sent = stamp and #stamp <= 16 and tonumber(stamp)
if not sent or sent < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '|' .. now .. '|' .. ARGV[3])
end
return now
""")
"""Record that a heartbeat was executed."""
