-- history_trim: KEYS blocks:raw blocks:roll blocks; ARGV prefix raw_hour roll_day budget limit
-- First deletes the expired blocks: samples from before raw_hour, roll-ups from before roll_day. Then deletes the
-- oldest blocks of both kinds until the size of all blocks is within the budget. Deletes at most `limit` blocks.
-- Returns the number of blocks deleted for the budget, the size of the remaining blocks, and 1 if more blocks have to
-- be deleted, else 0.

ensure_type(KEYS[1], 'zset')
ensure_type(KEYS[2], 'zset')
ensure_type(KEYS[3], 'hash')

-- Delete scores that put_block does not produce.
for index = 1, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[index], '-inf', '(0')
  redis.call('ZREMRANGEBYSCORE', KEYS[index], '9007199254740992', '+inf')
end
local bytes = to_integer(short_field(KEYS[3], 'bytes'))
if not bytes then -- The stored size is missing or invalid: add up the sizes in the index.
  bytes = 0
  for index = 1, 2 do
    for first = 0, redis.call('ZCARD', KEYS[index]) - 1, 1000 do
      local found = redis.call('ZRANGE', KEYS[index], first, first + 999, 'WITHSCORES')
      for i = 2, #found, 2 do bytes = bytes + tonumber(found[i]) % 4294967296 end
    end
  end
end

local kinds, units = {'raw', 'roll'}, {3600, 86400}
local left = tonumber(ARGV[5])

local function oldest(index)
  local found = redis.call('ZRANGE', KEYS[index], 0, 0, 'WITHSCORES')
  if not found[1] then return nil end
  return found[1], math.floor(tonumber(found[2]) / 4294967296), tonumber(found[2]) % 4294967296
end

local function drop(index, member, size)
  local check, at = split_member(member)
  if check then redis.call('DEL', ARGV[1] .. kinds[index] .. ':' .. check .. ':' .. at) end
  redis.call('ZREM', KEYS[index], member)
  bytes = bytes - size
  left = left - 1
end

local more = 0
for index = 1, 2 do
  while true do
    local member, at, size = oldest(index)
    if not member or at >= tonumber(ARGV[1 + index]) then break end
    if left == 0 then more = 1 break end
    drop(index, member, size)
  end
end

local evicted = 0
while bytes > tonumber(ARGV[4]) do
  local member, at, size, index = nil, nil, nil, nil
  for i = 1, 2 do
    local found, began, its_size = oldest(i)
    if found and (not member or began * units[i] < at * units[index]) then
      member, at, size, index = found, began, its_size, i
    end
  end
  if not member then break end
  if left == 0 then more = 1 break end
  drop(index, member, size)
  evicted = evicted + 1
  -- Other checks may have blocks of this hour or day, but history is now complete only after it.
  redis.call('HSET', KEYS[3], kinds[index], at + 1)
end
if bytes < 0 then bytes = 0 end
redis.call('HSET', KEYS[3], 'bytes', format_integer(bytes))
return {evicted, bytes, more}
