-- discard: KEYS hash; ARGV (field value)*
-- Deletes the fields that still have the given undecodable value. Returns their number.

local removed = 0
for i = 1, #ARGV, 2 do
  if redis.pcall('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    removed = removed + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return removed
