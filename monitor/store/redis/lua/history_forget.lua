-- history_forget: KEYS open blocks:raw blocks:roll blocks; ARGV prefix first_hour last_hour first_day last_day check*
-- Deletes the samples of these checks from first_hour to last_hour, and their roll-ups from first_day to last_day.

for i, kind in ipairs({'zset', 'zset', 'zset', 'hash'}) do ensure_type(KEYS[i], kind) end
local freed = 0

local function drop(kind, index, check, first, last)
  for at = first, last do
    local name = check .. '|' .. format_integer(at)
    if redis.call('DEL', ARGV[1] .. kind .. ':' .. check .. ':' .. format_integer(at)) == 1 or kind ~= 'open' then
      local score = redis.call('ZSCORE', KEYS[index], name)
      if score then
        local size = tonumber(score) >= 0 and tonumber(score) < 2 ^ 53 and tonumber(score) % 4294967296 or 0
        freed = freed + (kind ~= 'open' and size or 0)
        redis.call('ZREM', KEYS[index], name)
      end
    end
  end
end

for i = 6, #ARGV do
  drop('open', 1, ARGV[i], tonumber(ARGV[2]), tonumber(ARGV[3]))
  drop('raw', 2, ARGV[i], tonumber(ARGV[2]), tonumber(ARGV[3]))
  drop('roll', 3, ARGV[i], tonumber(ARGV[4]), tonumber(ARGV[5]))
end
if freed > 0 and type(redis.pcall('HINCRBY', KEYS[4], 'bytes', format_integer(-freed))) ~= 'number' then
  redis.call('HDEL', KEYS[4], 'bytes')
end
return 1
