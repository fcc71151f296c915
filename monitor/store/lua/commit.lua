-- commit: KEYS flight states meta changed retries transitions history
--         ARGV check token seen state retry_at|'' sample|'' samples_kept transitions_kept limit (id transition)*
-- Invariant: written only by the flight's holder, only over the very value its reducer saw; state, history,
-- transitions, retry and change log all change, and the flight is freed, or nothing at all happens.
-- Repairs come first, because a script that fails half-way is not rolled back. The first write in the usual
-- case is one that a full server refuses: a script is refused at its first write or not at all.

local current = readable(KEYS[2], ARGV[1], tonumber(ARGV[9]))
if holder(KEYS[1]) ~= ARGV[2] then return {'lost', current} end
if current ~= ARGV[3] then return {'conflict', current} end

sound(KEYS[2], 'hash')
sound(KEYS[3], 'hash')
sound(KEYS[4], 'zset')
sound(KEYS[5], 'zset')
sound(KEYS[6], 'stream')
sound(KEYS[7], 'list')

redis.call('HSET', KEYS[2], ARGV[1], ARGV[4])

-- The epoch names one life of the change log: readers of another life start anew.
local change = redis.pcall('HINCRBY', KEYS[3], 'change', 1)
if redis.call('EXISTS', KEYS[4]) == 0 or type(change) ~= 'number' or change < 1 or change > 9e15 then
  change = 1
  redis.call('HSET', KEYS[3], 'change', 1, 'epoch', text(clock()))
else
  redis.call('HSETNX', KEYS[3], 'epoch', text(clock()))
end
redis.call('ZADD', KEYS[4], change, ARGV[1])

if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[5], ARGV[5], ARGV[1])
else
  redis.call('ZREM', KEYS[5], ARGV[1])
end

if ARGV[6] ~= '' then
  redis.call('RPUSH', KEYS[7], ARGV[6])
  redis.call('LTRIM', KEYS[7], -tonumber(ARGV[7]), -1)
  redis.call('EXPIRE', KEYS[7], 172800)
end

for i = 10, #ARGV, 2 do
  local entry = {'XADD', KEYS[6], 'MAXLEN', '~', ARGV[8], '*', 'id', ARGV[i], 'transition', ARGV[i + 1]}
  if type(redis.pcall(unpack(entry))) ~= 'string' then
    redis.call('DEL', KEYS[6]) -- somebody has used up its ids
    redis.call(unpack(entry))
  end
end

redis.call('DEL', KEYS[1])
return {'done'}
