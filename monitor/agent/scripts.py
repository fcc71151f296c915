"""The two Lua scripts with which an agent writes to the store.

The scripts take the current time from the server's TIME.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError


class AgentScript(NamedTuple):
    """A Lua script and its SHA-1 digest for EVALSHA."""

    text: str
    sha: str


def run(client: Any, script: AgentScript, keys: tuple[str, ...], arguments: tuple[Any, ...]) -> Any:
    """Run a script and return its reply. Raises redis.RedisError.

    This takes one round trip if the server has cached the script, otherwise two.
    """
    try:
        return client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
    except NoScriptError:
        return client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)


def _script(text: str) -> AgentScript:
    full_text = _PRELUDE + text
    return AgentScript(full_text, hashlib.sha1(full_text.encode(), usedforsecurity=False).hexdigest())


# Both scripts build and store times as strings, since Lua formats numbers of this size in scientific notation. They
# convert times to numbers only to compare them.
_PRELUDE = """
local time = redis.call('TIME')
local now = time[1] .. string.rep('0', 6 - #time[2]) .. time[2]

-- Returns a field's value if it has at most `limit` bytes, else false. A longer value, or a key of another type, was
-- not written by the monitor: it is deleted, if the user of the store has the permission.
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
-- KEYS: the hashes of the beacons, of the executed heartbeats and of the sent heartbeats.
-- ARGV: node, beacon, instance, field of this instance in the two hashes of heartbeats.
-- Invariants:
-- (1) After the goodbye of an instance, no beacon of this instance is written. This holds even if the server executes
--     late a write that the agent sent before the goodbye, on a connection that has broken since.
-- (2) The beacon of another instance of the node is first moved to the field NODE.OTHER, unless the hash already has
--     5000 fields.
local node_beacon = field(KEYS[1], ARGV[1], 65536)
local other = node_beacon and string.match(node_beacon, '"instance":"(%w+)"')
if other == ARGV[3] then other = nil end
local own_field = ARGV[1] .. '.' .. ARGV[3]
local own_beacon = node_beacon
if other then own_beacon = field(KEYS[1], own_field, 65536) end
if not (own_beacon and string.find(own_beacon, '"leaving":true', 1, true)
        and string.find(own_beacon, '"instance":"' .. ARGV[3] .. '"', 1, true)) then
    if other then
        -- Each restart adds a field, and only a monitor removes old fields: without a monitor, this limit applies.
        local size = redis.pcall('HLEN', KEYS[1])
        if type(size) ~= 'number' or size < 5000 then
            redis.call('HSET', KEYS[1], ARGV[1] .. '.' .. other, node_beacon)
        end
        redis.pcall('HDEL', KEYS[1], own_field)
    end
    redis.call('HSET', KEYS[1], ARGV[1], now .. '|' .. ARGV[2])
end
return {now, field(KEYS[2], ARGV[4], 1000), field(KEYS[3], ARGV[4], 1000)}
""")
"""Write a beacon. Return the server's time, the newest executed and the newest sent heartbeat of this instance."""

EXECUTED = _script("""
-- KEYS: the hash of the executed heartbeats.
-- ARGV: field, time sent (microseconds), the text NODE|INSTANCE of the worker that executed the heartbeat.
-- Invariant: a heartbeat that is recorded late does not replace a heartbeat that was sent after it.
local old = field(KEYS[1], ARGV[1], 1000)
local stamp = old and string.match(old, '^%d+')
local sent = stamp and #stamp <= 16 and tonumber(stamp)
if not sent or sent < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '|' .. now .. '|' .. ARGV[3])
end
return now
""")
"""Record that a heartbeat was executed."""
