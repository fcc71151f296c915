-- alert_done: KEYS flight channel due lane dead; ARGV token check notice letter|'' dead_letters_kept
-- Removes a delivered notice from its lane, or with `letter` moves it to the dead letters. Returns 1, or 0 if the
-- notice is no longer the first of its lane.
-- Invariant: a notice is removed once, however many processes report its delivery.

if redis.pcall('LINDEX', KEYS[4], 0) ~= ARGV[3] then return 0 end
redis.call('LPOP', KEYS[4])
ensure_type(KEYS[2], 'hash')
ensure_type(KEYS[3], 'zset')
redis.call('HDEL', KEYS[2], 'tries:' .. ARGV[2])
local pending = redis.pcall('HINCRBY', KEYS[2], 'pending', -1)
if type(pending) ~= 'number' or pending < 0 then redis.call('HSET', KEYS[2], 'pending', 0) end
if redis.call('EXISTS', KEYS[4]) == 1 then
  redis.call('ZADD', KEYS[3], clock(), ARGV[2])
else
  redis.call('ZREM', KEYS[3], ARGV[2])
end
if ARGV[4] == '' then
  redis.call('HDEL', KEYS[2], 'failures', 'hold', 'reason')
else
  ensure_type(KEYS[5], 'list')
  redis.call('LPUSH', KEYS[5], ARGV[4])
  redis.call('LTRIM', KEYS[5], 0, tonumber(ARGV[5]) - 1)
end
return 1
