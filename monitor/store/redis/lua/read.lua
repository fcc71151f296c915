-- read: KEYS meta states changed; ARGV limit 'since' epoch change | limit 'names' name* | limit 'all'
-- Writes nothing, so that it works on a full server and on a replica. 'since' costs what has changed, not what
-- there is; it turns to 'all' when the cursor is of another life of the store, or ahead of it (a fail-over).
-- Returns clock, epoch, change, full, how many were too long, and then name and raw state by turns.

local epoch, change = field(KEYS[1], 'epoch') or '0', whole(field(KEYS[1], 'change')) or 0
if not whole(epoch) then epoch = '0' end
local mode = ARGV[2]
local names

if mode == 'since' and ARGV[3] == epoch and tonumber(ARGV[4]) <= change then
  names = redis.pcall('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[4], text(change), 'LIMIT', 0, MOST)
  if #names == MOST then names = nil end
elseif mode == 'names' then
  names = {}
  for i = 3, #ARGV do names[i - 2] = ARGV[i] end
end
if not names or names.err then
  mode = 'all'
  local size = redis.pcall('HLEN', KEYS[2])
  if type(size) == 'number' and size > MOST then
    names = redis.pcall('ZREVRANGE', KEYS[3], 0, MOST - 1) -- those that commit has written last
  end
  if not names or names.err or (#names == 0 and mode == 'all') then names = names_of(KEYS[2]) end
end

local answer = {text(clock()), epoch, text(change), mode == 'all' and 1 or 0}
local sized, values, refused = fields(KEYS[2], names, tonumber(ARGV[1]))
answer[5] = refused
for i, name in ipairs(sized) do
  answer[#answer + 1] = name
  answer[#answer + 1] = values[i]
end
return answer
