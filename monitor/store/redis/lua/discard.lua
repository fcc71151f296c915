-- discard: KEYS hash; ARGV (field value)*
-- Removes fields that still have the very value that could not be understood. Returns how many.

local removed = 0
for i = 1, #ARGV, 2 do
  if redis.pcall('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then removed = removed + redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return removed
