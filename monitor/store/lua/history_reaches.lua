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
    local check, at = string.match(member, '^(.+)|(%d+)$')
    -- The server may have evicted it by itself.
    if check and redis.call('EXISTS', ARGV[1] .. kinds[i] .. ':' .. check .. ':' .. at) == 1 then
      first = at
      break
    end
  end
  local floor = redis.pcall('HGET', KEYS[4], kinds[i])
  if first ~= '' and type(floor) == 'string' and (tonumber(floor) or 0) > tonumber(first) then first = floor end
  answer[i] = first
end
local waiting = redis.pcall('ZRANGE', KEYS[1], 0, 0)
local hour = not waiting.err and waiting[1] and string.match(waiting[1], '|(%d+)$')
answer[3] = hour or ''
local bytes = redis.pcall('HGET', KEYS[4], 'bytes')
answer[4] = type(bytes) == 'string' and bytes or '0'
return answer
