-- history_waiting: KEYS open; ARGV prefix now enough limit
-- Which lists are to be packed: those whose hour is over, and those with enough lines, of which a block that is
-- already long wants more (it is all made anew). What is no list any more, or was never one, is taken off.
-- Returns how many lines all lists have, and at most `limit` members of open.

sound(KEYS[1], 'zset')
local lines, members = 0, {}
local found = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #found, 2 do
  local check, hour = string.match(found[i], '^(.+)|(%d+)$')
  local key = check and ARGV[1] .. 'open:' .. check .. ':' .. hour
  local length = key and redis.pcall('LLEN', key)
  if type(length) ~= 'number' then
    if key then redis.call('DEL', key) end
    length = 0
  end
  if length == 0 then
    redis.call('ZREM', KEYS[1], found[i])
  else
    lines = lines + length
    local over = (tonumber(hour) + 1) * 3600 <= tonumber(ARGV[2])
    local size = redis.pcall('STRLEN', ARGV[1] .. 'raw:' .. check .. ':' .. hour)
    local enough = length >= tonumber(ARGV[3]) and length * 100 >= (tonumber(size) or 0)
    if (over or enough) and #members < tonumber(ARGV[4]) then
      members[#members + 1] = found[i]
    end
  end
end
return {lines, unpack(members)}
