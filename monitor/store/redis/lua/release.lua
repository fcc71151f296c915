-- release: KEYS flight; ARGV token
-- Invariant: only the holder of a flight releases it.

if holder(KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
