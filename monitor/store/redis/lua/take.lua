-- take: KEYS flight states meta memory; ARGV check run_id lease_ms overdue_at|'' limit memory_limit
-- Invariant: at most one run holds a check's flight, and every flight has a higher token than all before it.
-- Asking again with the same run_id gets the same flight (its lease is not prolonged).

local function kept(key, limit)
  return readable(key, ARGV[1], tonumber(ARGV[limit]))
end

local now = clock()
local token, taken_at, run_id = holder(KEYS[1])
if run_id == ARGV[2] then
  return {'taken', token, taken_at, kept(KEYS[2], 5), kept(KEYS[4], 6)}
end
if ARGV[4] ~= '' and now > tonumber(ARGV[4]) then return {'overdue'} end
-- A flight that would never end, or not before long, is not one of ours.
local left = redis.call('PTTL', KEYS[1])
if token and left ~= -1 and left <= 10 * tonumber(ARGV[3]) + 6e4 then return {'busy'} end

sound(KEYS[3], 'hash')
local next_token = redis.pcall('HINCRBY', KEYS[3], 'token', 1)
-- Counting starts at the clock, so that tokens go on growing after a flush.
if type(next_token) ~= 'number' or next_token < 1e15 or next_token > 9e15 then
  next_token = now
  redis.call('HSET', KEYS[3], 'token', text(now))
end
redis.call('SET', KEYS[1], text(next_token) .. ':' .. text(now) .. ':' .. ARGV[2], 'PX', ARGV[3])
return {'taken', text(next_token), text(now), kept(KEYS[2], 5), kept(KEYS[4], 6)}
