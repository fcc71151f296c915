-- history_pack: KEYS list open raw roll blocks:raw blocks:roll blocks
--               ARGV check hour day limit overhead count first last stored_raw stored_roll
--                    raw raw_expires_at roll roll_expires_at ('' and 0: do not write the block)
-- Invariant: lines leave the list in the step that writes the blocks they were merged into, and only if the blocks are
-- still the ones they were merged with. Repeated, or run by two processes at once, it has an effect once. Lines that
-- were added meanwhile stay.
-- Returns 1, or 0 when a value is no longer the one that was read.

local function line_at(place)
  local line = redis.pcall('LINDEX', KEYS[1], place)
  return type(line) == 'string' and (#line <= 2 * SHORT_BYTES and line or '') -- as lines_of returns it
end

local count, limit = tonumber(ARGV[6]), tonumber(ARGV[4])
if line_at(0) ~= ARGV[7] or line_at(count - 1) ~= ARGV[8]
  or block_of(KEYS[3], limit) ~= ARGV[9] or block_of(KEYS[4], limit) ~= ARGV[10] then
  return 0
end
for i, kind in ipairs({'zset', 'zset', 'zset', 'hash'}) do ensure_type(KEYS[({2, 5, 6, 7})[i]], kind) end

-- The first write is one that a full server refuses, so a refused script has written nothing.
redis.call('HSETNX', KEYS[7], 'bytes', 0)
local grown = 0
local function put(key, index, member, at, block, expires_at)
  if block ~= '' then grown = grown + put_block(key, index, member, at, block, expires_at, ARGV[5]) end
end
put(KEYS[3], KEYS[5], ARGV[1] .. '|' .. ARGV[2], ARGV[2], ARGV[11], ARGV[12])
put(KEYS[4], KEYS[6], ARGV[1] .. '|' .. ARGV[3], ARGV[3], ARGV[13], ARGV[14])
count_bytes(KEYS[7], grown)

redis.call('LTRIM', KEYS[1], count, -1)
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], ARGV[1] .. '|' .. ARGV[2]) end
return 1
