-- take: KEYS flight states meta memory; ARGV check run_id lease_ms overdue_at|'' limit memory_limit
-- Takes a check's flight. Returns {'taken', token, taken_at, state, memory}, {'overdue'} or {'busy'}.
-- Invariant: at most one run holds the flight, and each flight has a higher token than all earlier ones.
-- A repeated call with the same run_id returns the same flight, and does not renew the lease.

local function stored(key, limit)
  return value_of(key, ARGV[1], tonumber(ARGV[limit]))
end

local now = clock()
local token, taken_at, run_id = holder(KEYS[1])
if run_id == ARGV[2] then
  return {'taken', token, taken_at, stored(KEYS[2], 5), stored(KEYS[4], 6)}
end
if ARGV[4] ~= '' and now > tonumber(ARGV[4]) then return {'overdue'} end
-- Ignored, because another program wrote it: a flight that never expires, or much later than the lease ends.
local left = redis.call('PTTL', KEYS[1])
if token and left ~= -1 and left <= 10 * tonumber(ARGV[3]) + 6e4 then return {'busy'} end

ensure_type(KEYS[3], 'hash')
local next_token = redis.pcall('HINCRBY', KEYS[3], 'token', 1)
-- The first token is the clock's time, so that tokens after a flush are higher than those before.
if type(next_token) ~= 'number' or next_token < 1e15 or next_token > 9e15 then
  next_token = now
  redis.call('HSET', KEYS[3], 'token', format_integer(now))
end
redis.call('SET', KEYS[1], format_integer(next_token) .. ':' .. format_integer(now) .. ':' .. ARGV[2], 'PX', ARGV[3])
return {'taken', format_integer(next_token), format_integer(now), stored(KEYS[2], 5), stored(KEYS[4], 6)}
