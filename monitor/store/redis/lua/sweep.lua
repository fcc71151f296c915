-- sweep: KEYS hash changed (or hash again); ARGV count least limit
-- A hash with more fields than a script may look at was filled by another program. Of `count` of them, removes those
-- that are not ours by the look of it: of a length that no value of ours has or, with `changed`, without a place there.
-- When all of them look like ours, they are removed as well, until there are few enough.
-- Returns how many were removed, and 1 when there are still too many.

local size = redis.pcall('HLEN', KEYS[1])
if type(size) ~= 'number' or size <= MOST then return {0, 0} end
local names = redis.call('HRANDFIELD', KEYS[1], ARGV[1])
local wrong = {}
for _, name in ipairs(names) do
  local length = redis.call('HSTRLEN', KEYS[1], name)
  if #name > SHORT or length < tonumber(ARGV[2]) or length > tonumber(ARGV[3])
    or (KEYS[2] ~= KEYS[1] and type(redis.pcall('ZSCORE', KEYS[2], name)) ~= 'string') then
    wrong[#wrong + 1] = name
  end
end
if #wrong == 0 then
  for i = 1, math.min(#names, size - MOST) do wrong[i] = names[i] end
end
for first = 1, #wrong, 1000 do
  redis.call('HDEL', KEYS[1], unpack(wrong, first, math.min(first + 999, #wrong)))
end
return {#wrong, size - #wrong > MOST and 1 or 0}
