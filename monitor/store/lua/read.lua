-- read: KEYS meta states changed; ARGV limit 'since' epoch change | limit 'names' name* | limit 'all'
-- Writes nothing, so that it works on a full server and on a replica. 'since' costs what has changed, not what
-- there is; it turns to 'all' when the cursor is of another life of the store, or ahead of it (a fail-over).
-- Returns clock, epoch, change, full, and then name and raw state by turns.

local meta = redis.pcall('HMGET', KEYS[1], 'epoch', 'change')
local epoch, change = meta[1] or '0', tonumber(meta[2]) or 0
local mode = ARGV[2]
local names

if mode == 'since' and ARGV[3] == epoch and tonumber(ARGV[4]) <= change then
  names = redis.pcall('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[4], '+inf')
elseif mode == 'names' then
  names = {}
  for i = 3, #ARGV do names[i - 2] = ARGV[i] end
end
if not names or names.err then
  mode = 'all'
  names = redis.pcall('HKEYS', KEYS[2])
  if names.err then names = {} end
end

local answer = {text(clock()), epoch, text(change), mode == 'all' and 1 or 0}
local sized = {}
for _, name in ipairs(names) do
  local length = redis.pcall('HSTRLEN', KEYS[2], name)
  if type(length) == 'number' and length > 0 and length <= tonumber(ARGV[1]) then sized[#sized + 1] = name end
end
for first = 1, #sized, 1000 do
  local last = math.min(first + 999, #sized)
  for i, raw in ipairs(redis.call('HMGET', KEYS[2], unpack(sized, first, last))) do
    answer[#answer + 1] = sized[first + i - 1]
    answer[#answer + 1] = raw
  end
end
return answer
