-- own: KEYS project; ARGV seen value lease_ms limit
-- Writes `value`, unless that is empty, where there is still what was seen ('' for nothing). It expires after `lease_ms`,
-- or never for 0. Returns what is there then. What is longer than `limit` is as good as absent.

sound(KEYS[1], 'string')
local found = redis.call('STRLEN', KEYS[1]) <= tonumber(ARGV[4]) and redis.call('GET', KEYS[1]) or ''
if ARGV[2] == '' or found ~= ARGV[1] then return found end
if tonumber(ARGV[3]) > 0 then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
return ARGV[2]
