-- alert_leave: KEYS flight; ARGV token
-- Invariant: only the holder of a channel releases it.

if redis.pcall('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
