-- history_waiting: KEYS open; ARGV prefix now enough limit start
-- Selects the lists to pack: lists whose hour is over, and lists with at least `enough` lines. If the hour has a long
-- block, more lines are needed, because packing writes the entire block again.
-- Reads at most MAX_ITEMS / 2 members of the index, from position `start` on. Deletes members that have no list.
-- Returns the number of lines in the lists of these members, the position to continue from (-1 at the end), the number
-- of invalid members, and at most `limit` members whose lists are to be packed.

ensure_type(KEYS[1], 'zset')
local lines, refused, removed, members = 0, 0, 0, {}
local start = tonumber(ARGV[5])
local found = redis.call('ZRANGE', KEYS[1], start, start + MAX_ITEMS / 2 - 1)
for _, member in ipairs(found) do
  local check, hour = split_member(member)
  local key = check and ARGV[1] .. 'open:' .. check .. ':' .. hour
  local length = key and redis.pcall('LLEN', key)
  if type(length) ~= 'number' then
    if key then redis.call('DEL', key) end
    refused = refused + 1
    length = 0
  end
  if length == 0 then
    redis.call('ZREM', KEYS[1], member)
    removed = removed + 1
  else
    lines = lines + length
    local over = (tonumber(hour) + 1) * 3600 <= tonumber(ARGV[2])
    local size = redis.pcall('STRLEN', ARGV[1] .. 'raw:' .. check .. ':' .. hour)
    local enough = length >= tonumber(ARGV[3]) and length * 100 >= (tonumber(size) or 0)
    if (over or enough) and #members < tonumber(ARGV[4]) then
      members[#members + 1] = member
    end
  end
end
local following = #found == MAX_ITEMS / 2 and start + #found - removed or -1
return {lines, following, refused, unpack(members)}
