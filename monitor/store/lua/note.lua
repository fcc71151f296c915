-- note: KEYS beacons heartbeats emitted notes; ARGV notes count (field sent)* count field-of-beacons* field*
-- `count` pairs are set in emitted; the last two lists are removed, from beacons and from the other two.

local function each(first, last, action)
  for from = first, last, 1000 do action(unpack(ARGV, from, math.min(from + 999, last))) end
end

for i, kind in ipairs({'hash', 'hash', 'hash', 'string'}) do sound(KEYS[i], kind) end
redis.call('SET', KEYS[4], ARGV[1])
local pairs_end = 2 + 2 * tonumber(ARGV[2])
each(3, pairs_end, function(...) redis.call('HSET', KEYS[3], ...) end)
local beacons_end = pairs_end + 1 + tonumber(ARGV[pairs_end + 1])
each(pairs_end + 2, beacons_end, function(...) redis.call('HDEL', KEYS[1], ...) end)
each(beacons_end + 1, #ARGV, function(...)
  redis.call('HDEL', KEYS[2], ...)
  redis.call('HDEL', KEYS[3], ...)
end)
return 1
