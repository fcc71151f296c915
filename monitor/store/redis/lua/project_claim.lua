-- project_claim: KEYS project; ARGV stored value lease_ms limit
-- Writes `value` if the key still has the value `stored` ('' for an absent key). Only reads if `value` is empty. The
-- key expires after lease_ms; never if that is 0. A stored value longer than `limit` bytes counts as absent. Returns
-- the value that the key has after the call.

ensure_type(KEYS[1], 'string')
local found = redis.call('STRLEN', KEYS[1]) <= tonumber(ARGV[4]) and redis.call('GET', KEYS[1]) or ''
if ARGV[2] == '' or found ~= ARGV[1] then return found end
if tonumber(ARGV[3]) > 0 then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
return ARGV[2]
