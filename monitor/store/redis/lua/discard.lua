-- discard: KEYS hash; ARGV (field value)*
-- Deletes each field whose value is still the given one, which could not be decoded. Returns the number of deleted
-- fields.

local removed = 0
for i = 1, #ARGV, 2 do
  if redis.pcall('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    removed = removed + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return removed
