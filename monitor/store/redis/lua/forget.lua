-- forget: KEYS meta states changed retries memory; ARGV name*
-- Deletes the states, retries and memories of checks. The new epoch makes all readers read all states again, and
-- thereby drop the deleted ones.

local kinds = {'hash', 'hash', 'zset', 'zset', 'hash'}
for i, kind in ipairs(kinds) do ensure_type(KEYS[i], kind) end
for _, name in ipairs(ARGV) do
  redis.call('HDEL', KEYS[2], name)
  redis.call('ZREM', KEYS[3], name)
  redis.call('ZREM', KEYS[4], name)
  redis.call('HDEL', KEYS[5], name)
end
redis.call('HSET', KEYS[1], 'epoch', format_integer(clock()))
return 1
