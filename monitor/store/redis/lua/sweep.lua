-- sweep: KEYS hash changed (or hash again); ARGV count least limit
-- A hash with more fields than a script may read was filled by another program. Of `count` fields, deletes those whose
-- length no value of the store has or, with `changed`, which are not in that set. When all of them could be the
-- store's, deletes them as well, until the hash is within the limit.
-- Returns the number of deleted fields, and 1 when there are still too many.

local size = redis.pcall('HLEN', KEYS[1])
if type(size) ~= 'number' or size <= MAX_ITEMS then return {0, 0} end
local names = redis.call('HRANDFIELD', KEYS[1], ARGV[1])
local wrong = {}
for _, name in ipairs(names) do
  local length = redis.call('HSTRLEN', KEYS[1], name)
  if #name > SHORT_BYTES or length < tonumber(ARGV[2]) or length > tonumber(ARGV[3])
    or (KEYS[2] ~= KEYS[1] and type(redis.pcall('ZSCORE', KEYS[2], name)) ~= 'string') then
    wrong[#wrong + 1] = name
  end
end
if #wrong == 0 then
  for i = 1, math.min(#names, size - MAX_ITEMS) do wrong[i] = names[i] end
end
for first = 1, #wrong, 1000 do
  redis.call('HDEL', KEYS[1], unpack(wrong, first, math.min(first + 999, #wrong)))
end
return {#wrong, size - #wrong > MAX_ITEMS and 1 or 0}
