-- alert_retry: KEYS flight about due lane; ARGV token check notice after_us hold_us reason
-- Invariant: only the head of a lane is put off, and with it what is behind it.

if redis.pcall('LINDEX', KEYS[4], 0) ~= ARGV[3] then return 0 end
local now = clock()
sound(KEYS[2], 'hash')
sound(KEYS[3], 'zset')
redis.call('ZADD', KEYS[3], now + ARGV[4], ARGV[2])
redis.call('HSET', KEYS[2], 'reason', ARGV[6])
for _, counter in ipairs({'tries:' .. ARGV[2], 'failures'}) do
  if type(redis.pcall('HINCRBY', KEYS[2], counter, 1)) ~= 'number' then redis.call('HSET', KEYS[2], counter, 1) end
end
if tonumber(ARGV[5]) > 0 then redis.call('HSET', KEYS[2], 'hold', text(now + ARGV[5])) end
return 1
