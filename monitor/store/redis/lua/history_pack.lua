-- history_pack: KEYS list open raw roll blocks:raw blocks:roll blocks
--               ARGV check hour day limit overhead count first last stored_raw stored_roll
--                    raw raw_expires_at roll roll_expires_at
-- Writes the new blocks `raw` and `roll` ('' for a block that is not written), and deletes the first `count` lines of
-- the list, which these blocks contain. Lines that were added meanwhile stay in the list.
-- Invariant: the script writes only if the stored blocks and the lines are the ones that were read. So if it is
-- repeated, or called by two processes, it writes once.
-- Returns 1, or 0 if a value has changed since it was read.

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

-- A full server refuses the first write, so it refuses the script before anything was written.
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
