-- commit: KEYS flight states meta changed retries transitions memory open list+
--         ARGV token release|'' transitions_kept limit check memory|'' lines_kept lines_seconds
--              (check stored state retry_at|'' sample|'' hour n (id transition)*n)+
-- Writes the new state of one or more checks. The last group of arguments is an entry; there is one for each check.
-- Entry and list have the same position: the list contains the check's samples of the entry's hour. `open` is the index
-- of the lists. `check` is the check of the flight, and `memory` its new memory.
-- Invariants:
--   1. Only the holder of the flight writes.
--   2. An entry is in conflict if the stored state is not `stored`, the value that the reducer got. It is not written.
--   3. State, sample, transitions, retry and change number of an entry are written together or not at all.
--   4. The memory is written, and with `release` the flight is released, only if no entry is in conflict.
-- Redis does not roll back a script that fails halfway. So keys of a wrong type are deleted before the first write, and
-- the first write is one that a full server refuses.
-- Returns {'done', (place current)*}, with the place and the stored state of each entry in conflict. Returns {'lost',
-- current*}, with the stored state of each entry, if another run holds the flight.

local limit = tonumber(ARGV[4])
local entries = {}
local at = 9
while at <= #ARGV do
  entries[#entries + 1] = at
  at = at + 7 + 2 * tonumber(ARGV[at + 6])
end

if holder(KEYS[1]) ~= ARGV[1] then
  local answer = {'lost'}
  for _, entry in ipairs(entries) do answer[#answer + 1] = value_of(KEYS[2], ARGV[entry], limit) end
  return answer
end

local answer = {'done'}
local is_repaired = false
for place, entry in ipairs(entries) do
  local name, history = ARGV[entry], KEYS[8 + place]
  local current = value_of(KEYS[2], name, limit)
  if current ~= ARGV[entry + 1] then
    answer[#answer + 1] = place
    answer[#answer + 1] = current
  else
    if not is_repaired then
      for i, kind in ipairs({'hash', 'hash', 'zset', 'zset', 'stream'}) do ensure_type(KEYS[i + 1], kind) end
      is_repaired = true
    end
    local sample = ARGV[entry + 4]

    redis.call('HSET', KEYS[2], name, ARGV[entry + 2])

    -- The change numbers start again when they were lost. Then the epoch changes too, and readers read all states
    -- again.
    local change = redis.pcall('HINCRBY', KEYS[3], 'change', 1)
    if redis.call('EXISTS', KEYS[4]) == 0 or type(change) ~= 'number' or change < 1 or change > 9e15 then
      change = 1
      redis.call('HSET', KEYS[3], 'change', 1, 'epoch', format_integer(clock()))
    elseif place == 1 then
      redis.call('HSETNX', KEYS[3], 'epoch', format_integer(clock()))
    end
    redis.call('ZADD', KEYS[4], change, name)

    if ARGV[entry + 3] ~= '' then
      redis.call('ZADD', KEYS[5], ARGV[entry + 3], name)
    else
      redis.call('ZREM', KEYS[5], name)
    end

    if sample ~= '' then
      if is_bloated(history) then redis.call('DEL', history) end -- each read would copy its values
      local length = redis.pcall('RPUSH', history, sample)
      if type(length) ~= 'number' then
        redis.call('DEL', history) -- the key was no list
        length = redis.call('RPUSH', history, sample)
      end
      if length % 60 == 1 then -- every 60 lines, in case the index was lost
        ensure_type(KEYS[8], 'zset')
        redis.call('ZADD', KEYS[8], (ARGV[entry + 5] + 1) * 3600, name .. '|' .. ARGV[entry + 5])
        redis.call('EXPIRE', history, ARGV[8])
      end
      if length > tonumber(ARGV[7]) then redis.call('LTRIM', history, -tonumber(ARGV[7]), -1) end
    end

    for i = entry + 7, entry + 5 + 2 * tonumber(ARGV[entry + 6]), 2 do
      local add = {'XADD', KEYS[6], 'MAXLEN', '~', ARGV[3], '*', 'id', ARGV[i], 'transition', ARGV[i + 1]}
      if type(redis.pcall(unpack(add))) ~= 'string' then
        redis.call('DEL', KEYS[6]) -- another program has written the highest id, so that no entry can follow
        redis.call(unpack(add))
      end
    end
  end
end

if #answer == 1 and ARGV[6] ~= '' then
  ensure_type(KEYS[7], 'hash')
  redis.call('HSET', KEYS[7], ARGV[5], ARGV[6])
end
if #answer == 1 and ARGV[2] ~= '' then redis.call('DEL', KEYS[1]) end
return answer
