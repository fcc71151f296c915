-- alert_leave: KEYS flight; ARGV token
-- Releases a channel. Does nothing if another token holds it.

if redis.pcall('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
