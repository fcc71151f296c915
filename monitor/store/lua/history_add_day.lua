-- history_add_day: KEYS blocks:roll blocks; ARGV prefix overhead day block expires_at check*
-- One rolled-up day for each of the checks, in place of what is there. Done again, it changes nothing.

sound(KEYS[1], 'zset')
sound(KEYS[2], 'hash')
redis.call('HSETNX', KEYS[2], 'bytes', 0)
local grown = 0
for i = 6, #ARGV do
  local key = ARGV[1] .. 'roll:' .. ARGV[i] .. ':' .. ARGV[3]
  grown = grown + put_block(key, KEYS[1], ARGV[i] .. '|' .. ARGV[3], ARGV[3], ARGV[4], ARGV[5], ARGV[2])
end
count_bytes(KEYS[2], grown)
return 1
