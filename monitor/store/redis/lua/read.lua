-- read: KEYS meta states changed; ARGV limit 'since' epoch change | limit 'names' name* | limit 'all'
-- Reads the states that were written after a change number, the states of given checks, or all states. Writes nothing,
-- so it works on a full server and on a replica. The cost of 'since' depends on the number of changed states only.
-- 'since' is treated as 'all' if the epoch is not the stored one, or if `change` is higher than the stored one, after a
-- fail-over.
-- Returns clock, epoch, change, full (1 for all states, else 0), the number of values that are too long, (name state)*.

local epoch, change = short_field(KEYS[1], 'epoch') or '0', to_integer(short_field(KEYS[1], 'change')) or 0
if not to_integer(epoch) then epoch = '0' end
local mode = ARGV[2]
local names

if mode == 'since' and ARGV[3] == epoch and tonumber(ARGV[4]) <= change then
  names = redis.pcall('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[4], format_integer(change), 'LIMIT', 0, MAX_ITEMS)
  if #names == MAX_ITEMS then names = nil end
elseif mode == 'names' then
  names = {}
  for i = 3, #ARGV do names[i - 2] = ARGV[i] end
end
if not names or names.err then
  mode = 'all'
  local size = redis.pcall('HLEN', KEYS[2])
  if type(size) == 'number' and size > MAX_ITEMS then
    names = redis.pcall('ZREVRANGE', KEYS[3], 0, MAX_ITEMS - 1) -- names that commit has written, the last one first
  end
  if not names or names.err or (#names == 0 and mode == 'all') then names = names_of(KEYS[2]) end
end

local answer = {format_integer(clock()), epoch, format_integer(change), mode == 'all' and 1 or 0}
local sized, values, refused = read_fields(KEYS[2], names, tonumber(ARGV[1]))
answer[5] = refused
for i, name in ipairs(sized) do
  answer[#answer + 1] = name
  answer[#answer + 1] = values[i]
end
return answer
