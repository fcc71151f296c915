-- release: KEYS flight; ARGV token
-- Releases a flight. Does nothing if another token holds it.

if holder(KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
