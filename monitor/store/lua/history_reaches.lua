-- history_reaches: KEYS open blocks:raw blocks:roll blocks; ARGV prefix
-- Writes nothing. Returns the first hour and the first day of which all is kept that there was; '' for none; and the
-- bytes of all blocks.

local kinds = {'raw', 'roll'}
local answer = {}
for i = 1, 2 do
  local first = ''
  local found = redis.pcall('ZRANGE', KEYS[1 + i], 0, 99)
  if found.err then found = {} end
  for _, member in ipairs(found) do
    local check, at = place_of(member)
    -- The server may have evicted it by itself.
    if check and redis.call('EXISTS', ARGV[1] .. kinds[i] .. ':' .. check .. ':' .. at) == 1 then
      first = at
      break
    end
  end
  local floor = field(KEYS[4], kinds[i])
  if first ~= '' and floor and #floor <= 7 and (whole(floor) or 0) > tonumber(first) then first = floor end
  answer[i] = first
end
local waiting = redis.pcall('ZRANGE', KEYS[1], 0, 99)
answer[3] = ''
for _, member in ipairs(waiting.err and {} or waiting) do
  local check, at = place_of(member)
  if check then
    answer[3] = at
    break
  end
end
answer[4] = field(KEYS[4], 'bytes') or '0'
return answer
