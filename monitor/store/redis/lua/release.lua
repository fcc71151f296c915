-- release: KEYS flight; ARGV token
-- Invariant: only its holder frees a flight.

if holder(KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
