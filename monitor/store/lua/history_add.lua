-- history_add: KEYS list open; ARGV member hour_ends_at expires_seconds line*
-- What commit does with a sample, for many of one hour and without states.

sound(KEYS[1], 'list')
sound(KEYS[2], 'zset')
redis.call('RPUSH', KEYS[1], unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 1
