-- alert_retry: KEYS flight channel due lane; ARGV token check notice after_us hold_us reason
-- Postpones the notice by after_us, and all notices of the channel by hold_us. Returns 1, or 0 if the notice is no
-- longer the first of its lane.
-- Invariant: the notices of a lane stay in order, because the notices behind the first one wait for it.

if redis.pcall('LINDEX', KEYS[4], 0) ~= ARGV[3] then return 0 end
local now = clock()
ensure_type(KEYS[2], 'hash')
ensure_type(KEYS[3], 'zset')
redis.call('ZADD', KEYS[3], now + ARGV[4], ARGV[2])
redis.call('HSET', KEYS[2], 'reason', ARGV[6])
for _, counter in ipairs({'tries:' .. ARGV[2], 'failures'}) do
  if type(redis.pcall('HINCRBY', KEYS[2], counter, 1)) ~= 'number' then redis.call('HSET', KEYS[2], counter, 1) end
end
if tonumber(ARGV[5]) > 0 then redis.call('HSET', KEYS[2], 'hold', format_integer(now + ARGV[5])) end
return 1
