-- project_claim: KEYS project; ARGV stored value lease_ms limit
-- Writes `value`, unless it is empty, if the key still has the value `stored` ('' for none). The key expires after
-- `lease_ms`, or never for 0. Returns the current value. A value longer than `limit` counts as absent.

ensure_type(KEYS[1], 'string')
local found = redis.call('STRLEN', KEYS[1]) <= tonumber(ARGV[4]) and redis.call('GET', KEYS[1]) or ''
if ARGV[2] == '' or found ~= ARGV[1] then return found end
if tonumber(ARGV[3]) > 0 then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
return ARGV[2]
